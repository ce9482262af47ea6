// What is a thread waiting for, judged by the kernel functions that it waits in?

/// Why a thread does not run.
enum WaitKind: String, Hashable, Sendable, CaseIterable {
  /// A lock, condition variable, barrier or semaphore.
  case lock
  /// Storage, network, pipe, terminal, or a device.
  case io
  /// Its own wish: timers, waiting for a child or a signal.
  case sleep
  /// Something else, or not known.
  case other
}

/// The rules, as data.
enum OffCPURules {
  /// A kernel function, or with a `*` at its end all that begin so, and what waiting in it means.
  struct Rule: Hashable, Sendable {
    var pattern: String
    var kind: WaitKind
  }

  /// Functions of Linux 4.19 to 6.18. The stack is read from the innermost function outwards, and the first function
  /// that a rule knows decides: a page fault that reads a file waits for I/O, although the fault came from `futex`.
  static let rules: [Rule] = [
    (
      WaitKind.lock,
      """
      futex_* __futex_* do_futex rt_mutex_* __rt_mutex_* rwsem_down_* down_read* down_write* __mutex_lock*
      mutex_lock* down __down* __down_interruptible percpu_down_write __percpu_down_read do_semtimedop
      locks_lock_inode_wait posix_lock_inode_wait flock_lock_inode_wait fcntl_setlk*
      """
    ),
    (
      .io,
      """
      io_schedule* io_cqring_wait* read_events folio_wait* __folio_lock* wait_on_page* __lock_page* bit_wait_io
      submit_bio_wait blk_* blkdev_* rq_qos_wait wbt_wait balance_dirty_pages* jbd2_* ext4_* xfs_* btrfs_* f2fs_*
      wait_on_buffer __wait_on_buffer sync_inodes_sb filemap_* generic_file_read_iter do_swap_page swap_readpage
      nfs_* nfs4_* rpc_wait* ceph_* cifs_* smb2_* fuse_* request_wait_answer p9_* virtio_fs_* dm_* md_* nvme_* scsi_*
      pipe_read pipe_write anon_pipe_read anon_pipe_write pipe_wait* wait_for_partner fifo_open splice_* wait_for_space
      unix_* skb_wait_* __skb_wait_* __skb_recv_* sk_wait_* sk_stream_wait* lock_sock_nested inet_* tcp_* udp_* netlink_*
      packet_* vsock_* sock_* __sys_recv* __sys_send* __sys_accept* __sys_connect ep_poll do_epoll_wait do_poll
      do_sys_poll do_select core_sys_select eventfd_read eventfd_write inotify_read fanotify_read n_tty_* tty_*
      wq_sleep do_msgrcv do_msgsnd do_mq_* random_read* evdev_read hidraw_read usb_* dma_fence_* dma_resv_* drm_*
      amdgpu_* kfd_* i915_* nvidia_* nv_* nvkms_* os_acquire_* uvm_* ib_* mlx5_* habanalabs_* kvm_vcpu_block kvm_vcpu_halt
      """
    ),
    (
      .sleep,
      """
      do_nanosleep hrtimer_nanosleep* common_nsleep* clock_nanosleep* alarm_timer_nsleep do_wait kernel_wait4
      kernel_waitid* wait_for_vfork_done do_sigtimedwait sigsuspend __do_sys_pause __x64_sys_pause __arm64_sys_pause
      timerfd_read signalfd_dequeue signalfd_read* zap_pid_ns_processes de_thread
      """
    ),
    (
      .other,
      "do_exit do_group_exit ptrace_stop do_signal_stop get_signal __refrigerator do_freezer_trap handle_userfault"
    ),
  ].flatMap { kind, names in
    names.split { $0 == " " || $0 == "\n" }.map { Rule(pattern: String($0), kind: kind) }
  }

  private static let exact: [String: WaitKind] = Dictionary(
    rules.filter { !$0.pattern.hasSuffix("*") }.map { ($0.pattern, $0.kind) }, uniquingKeysWith: { first, _ in first })
  /// By their first two letters, so that few have to be compared.
  private static let prefixes: [Substring: [(prefix: String, kind: WaitKind)]] = Dictionary(
    grouping: rules.filter { $0.pattern.hasSuffix("*") }.map { (prefix: String($0.pattern.dropLast()), kind: $0.kind) },
    by: { $0.prefix.prefix(2) })

  /// The kind of a wait in one function; `nil` when no rule knows it. Suffixes that compilers add are ignored.
  static func kind(ofFunction name: String) -> WaitKind? {
    // `futex_wait.isra.0`, `ep_poll.constprop.0`, `do_wait.cold`
    let plain = name.firstIndex(of: ".").map { String(name[..<$0]) } ?? name
    if let kind = exact[plain] { return kind }
    return prefixes[plain.prefix(2)]?.first { plain.hasPrefix($0.prefix) }?.kind
  }

  /// The kind of a wait in a stack of kernel functions, innermost first.
  static func kind<Functions: Sequence<String>>(ofStack functions: Functions) -> WaitKind {
    for function in functions {
      if let kind = kind(ofFunction: function) { return kind }
    }
    return .other
  }

  /// What a thread waits for in a system call, where the kernel shows the call and no function. Numbers: x86-64
  /// (`arch/x86/entry/syscalls/syscall_64.tbl`) and the generic table of Arm and RISC-V (`asm-generic/unistd.h`).
  static func kind(ofSystemCall number: Int, architecture: String) -> WaitKind? {
    architecture == "x86_64" ? x86Calls[number] : genericCalls[number]
  }

  private static let x86Calls = calls(
    lock: [202, 65, 220, 73, 449],
    io: [
      0, 1, 2, 7, 17, 18, 19, 20, 23, 42, 43, 44, 45, 46, 47, 69, 70, 74, 75, 208, 232, 257, 270, 271, 275, 281, 288,
      295,
      296, 299, 307, 333, 426, 441,
    ],
    sleep: [34, 35, 61, 128, 130, 230, 247])
  private static let genericCalls = calls(
    lock: [98, 192, 193, 32, 449],
    io: [
      4, 22, 56, 62, 63, 64, 65, 66, 67, 68, 69, 70, 72, 73, 76, 82, 83, 84, 188, 189, 202, 203, 206, 207, 211, 212,
      242,
      243, 269, 426, 441,
    ],
    sleep: [95, 101, 115, 133, 137, 260])

  private static func calls(lock: [Int], io: [Int], sleep: [Int]) -> [Int: WaitKind] {
    var table: [Int: WaitKind] = [:]
    for number in lock { table[number] = .lock }
    for number in io { table[number] = .io }
    for number in sleep { table[number] = .sleep }
    return table
  }
}
