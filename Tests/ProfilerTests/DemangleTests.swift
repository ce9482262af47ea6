import Foundation
import Testing

@testable import Profiler

@Suite struct DemangleTests {
  @Test(arguments: [
    // Itanium C++ ABI, 5.1; checked with c++filt.
    ("_ZN2ns6kernelEPKdi", "ns::kernel(double const*, int)"),
    ("_ZNKSt6vectorIiSaIiEE4sizeEv", "std::vector<int, std::allocator<int> >::size() const"),
    ("_ZN12_GLOBAL__N_15guessEv", "(anonymous namespace)::guess()"),
    ("_Z3fooi.cold", "foo(int) [clone .cold]"),
    ("_Z3fooi.constprop.0", "foo(int) [clone .constprop.0]"),
    // Swift; checked with `swift demangle`.
    ("$sSa6appendyyxnF", "Swift.Array.append(__owned A) -> ()"),
    ("$s4main3fooyyF", "main.foo() -> ()"),
    // Rust, older mangling; the hash goes.
    ("_ZN4core3fmt9Formatter9write_str17h0123456789abcdefE", "core::fmt::Formatter::write_str"),
    (
      "_ZN66_$LT$alloc..vec..Vec$LT$T$GT$$u20$as$u20$core..ops..drop..Drop$GT$4drop17hfedcba9876543210E",
      "<alloc::vec::Vec<T> as core::ops::drop::Drop>::drop"
    ),
    // Not mangled, or not validly.
    ("sgemm_kernel_HASWELL", "sgemm_kernel_HASWELL"),
    ("_RNvC6_123foo3bar", "_RNvC6_123foo3bar"),
    ("_Z", "_Z"),
    ("_ZN2ns", "_ZN2ns"),
    ("$s", "$s"),
    ("$s4main", "main"),
    ("", ""),
    ("memcpy@@GLIBC_2.14", "memcpy"),
    ("@", "@"),
  ])
  func names(mangled: String, plain: String) {
    #expect(Demangler.demangle(mangled) == plain)
  }

  @Test func aNameWithoutEndIsCut() {
    let long = Demangler.demangle(String(repeating: "x", count: 1 << 20))
    #expect(long.count == Demangler.longestName + 1)
  }
}
