-- A profile as layout version 2 keeps it. Never change this file: it shows that such files open for ever.
PRAGMA application_id = 1265202793;
PRAGMA user_version = 2;
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE repetition (
  idx INTEGER PRIMARY KEY, started_at_unix_ns INTEGER NOT NULL, start_monotonic_ns INTEGER NOT NULL,
  wall_ns INTEGER NOT NULL, state TEXT NOT NULL, exit_status INTEGER, signal INTEGER);
CREATE TABLE collector (
  repetition INTEGER NOT NULL, name TEXT NOT NULL, outcome TEXT NOT NULL, method TEXT NOT NULL, reason TEXT,
  remedy TEXT, PRIMARY KEY (repetition, name)) WITHOUT ROWID;
CREATE TABLE quantity (
  repetition INTEGER NOT NULL, name TEXT NOT NULL, unit TEXT NOT NULL, value, source TEXT, running_fraction REAL, detail TEXT, reason TEXT, remedy TEXT,
  PRIMARY KEY (repetition, name)) WITHOUT ROWID;
CREATE TABLE counter (
  repetition INTEGER NOT NULL, position INTEGER NOT NULL, event TEXT NOT NULL, unit TEXT NOT NULL,
  event_group INTEGER, value REAL, enabled_ns INTEGER NOT NULL, running_ns INTEGER NOT NULL,
  source TEXT, running_fraction REAL, detail TEXT, reason TEXT, remedy TEXT, low REAL, high REAL, PRIMARY KEY (repetition, position)) WITHOUT ROWID;
CREATE TABLE series (name TEXT PRIMARY KEY, unit TEXT NOT NULL, source TEXT, running_fraction REAL, detail TEXT, reason TEXT, remedy TEXT) WITHOUT ROWID;
CREATE TABLE point (
  repetition INTEGER NOT NULL, series TEXT NOT NULL, time_ns INTEGER NOT NULL, value REAL,
  PRIMARY KEY (repetition, series, time_ns)) WITHOUT ROWID;
CREATE TABLE thread (
  repetition INTEGER NOT NULL, pid INTEGER NOT NULL, tid INTEGER NOT NULL, parent_pid INTEGER NOT NULL,
  name TEXT NOT NULL, start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL, running_ns INTEGER,
  runnable_ns INTEGER, blocked_lock_ns INTEGER, blocked_io_ns INTEGER, sleeping_ns INTEGER,
  blocked_other_ns INTEGER, exit_status INTEGER, PRIMARY KEY (repetition, pid, tid, start_ns)) WITHOUT ROWID;
CREATE TABLE thread_time (
  repetition INTEGER NOT NULL, pid INTEGER NOT NULL, tid INTEGER NOT NULL, start_ns INTEGER NOT NULL,
  phase TEXT NOT NULL, category TEXT NOT NULL, state TEXT NOT NULL, time_ns INTEGER NOT NULL,
  source TEXT NOT NULL, detail TEXT, PRIMARY KEY (repetition, pid, tid, start_ns, phase, category, state))
  WITHOUT ROWID;
CREATE TABLE frame (
  id INTEGER PRIMARY KEY, function TEXT NOT NULL, module TEXT NOT NULL, file TEXT, line INTEGER,
  kind TEXT NOT NULL);
CREATE TABLE stack (id INTEGER PRIMARY KEY, parent INTEGER, frame INTEGER NOT NULL);
CREATE TABLE sample (
  repetition INTEGER NOT NULL, stack INTEGER NOT NULL, pid INTEGER NOT NULL, tid INTEGER NOT NULL,
  kernel INTEGER NOT NULL, samples INTEGER NOT NULL, weight_ns INTEGER NOT NULL,
  PRIMARY KEY (repetition, stack, pid, tid, kernel)) WITHOUT ROWID;
CREATE TABLE kernel (
  repetition INTEGER NOT NULL, id INTEGER NOT NULL, name TEXT NOT NULL, category TEXT NOT NULL,
  phase TEXT NOT NULL, module_path TEXT NOT NULL, thread TEXT NOT NULL, shapes TEXT NOT NULL,
  types TEXT NOT NULL, calls INTEGER NOT NULL, total_ns INTEGER NOT NULL, self_ns INTEGER NOT NULL,
  cpu_ns INTEGER, cpu_source TEXT, cpu_detail TEXT, flops REAL, flops_source TEXT, flops_detail TEXT,
  bytes REAL, bytes_source TEXT, bytes_detail TEXT, PRIMARY KEY (repetition, id)) WITHOUT ROWID;
CREATE TABLE kernel_counter (
  repetition INTEGER NOT NULL, kernel INTEGER NOT NULL, event TEXT NOT NULL, unit TEXT NOT NULL, value REAL,
  source TEXT, running_fraction REAL, detail TEXT, reason TEXT, remedy TEXT, low REAL, high REAL,
  PRIMARY KEY (repetition, kernel, event)) WITHOUT ROWID;
CREATE TABLE simulated_count (
  repetition INTEGER NOT NULL, scope TEXT NOT NULL, category TEXT NOT NULL, name TEXT NOT NULL,
  module TEXT NOT NULL, event TEXT NOT NULL, value REAL NOT NULL,
  PRIMARY KEY (repetition, scope, category, name, module, event)) WITHOUT ROWID;
CREATE TABLE training_step (
  repetition INTEGER NOT NULL, step INTEGER NOT NULL, epoch INTEGER NOT NULL, time_ns INTEGER NOT NULL,
  duration_ns INTEGER NOT NULL, samples INTEGER NOT NULL, loss REAL, PRIMARY KEY (repetition, step))
  WITHOUT ROWID;
CREATE TABLE training_epoch (
  repetition INTEGER NOT NULL, stage TEXT NOT NULL, epoch INTEGER NOT NULL, time_ns INTEGER NOT NULL,
  duration_ns INTEGER NOT NULL, samples INTEGER NOT NULL, mean_loss REAL, metric TEXT NOT NULL,
  quality REAL, PRIMARY KEY (repetition, stage, epoch)) WITHOUT ROWID;
CREATE TABLE inference_query (
  repetition INTEGER NOT NULL, idx INTEGER NOT NULL, latency_ns INTEGER NOT NULL, samples INTEGER NOT NULL,
  PRIMARY KEY (repetition, idx)) WITHOUT ROWID;
CREATE TABLE note (
  repetition INTEGER NOT NULL, position INTEGER NOT NULL, level TEXT NOT NULL, message TEXT NOT NULL,
  PRIMARY KEY (repetition, position)) WITHOUT ROWID;
INSERT INTO setting VALUES ('command', '["sh","-c","exit 3"]'), ('kind', 'command'), ('kiviat.version', '0.1.0'),
  ('working_directory', '/home/user');
INSERT INTO repetition VALUES (0, 1750000000000000000, 5000000000, 2000000, 'finished', 3, NULL);
INSERT INTO collector VALUES (0, 'energy', 'unavailable', '', 'no powercap domain', 'run as root');
INSERT INTO collector VALUES (0, 'sampling', 'degraded', 'cpu-clock at 499 Hz, user, frame pointers', 'no hardware PMU', NULL);
INSERT INTO quantity VALUES (-1, 'host.cpu.model', '', 'Example CPU', 'kernel accounting', NULL, '/proc/cpuinfo', NULL, NULL);
INSERT INTO quantity VALUES (0, 'memory.peak_rss', 'B', 3670016.0, 'kernel accounting', NULL, NULL, NULL, NULL);
INSERT INTO quantity VALUES (0, 'energy.package', 'J', NULL, NULL, NULL, NULL, 'no powercap domain', 'run as root');
INSERT INTO counter VALUES (0, 0, 'task-clock', 'ns', NULL, 1250000.0, 1250000, 1250000, 'software counter', NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO counter VALUES (0, 1, 'cycles', '1', NULL, NULL, 0, 0, NULL, NULL, NULL, 'no hardware PMU (virtual machine)', NULL, NULL, NULL);
INSERT INTO counter VALUES (0, 2, 'cycles:u', '1', 0, 1000.0, 2000, 1000, 'scaled hardware counter', 0.5, NULL, NULL, NULL, 900.0, 1100.0);
INSERT INTO series VALUES ('cpu.use', '1', 'kernel accounting', NULL, '/proc/PID/stat', NULL, NULL);
INSERT INTO point VALUES (0, 'cpu.use', 0, 0.5), (0, 'cpu.use', 100000000, 1.0);
INSERT INTO thread VALUES (0, 100, 100, 99, 'sh', 0, 2000000, 1200000, 100000, NULL, NULL, 700000, NULL, 3);
INSERT INTO frame VALUES (1, '_start', '/bin/sh', NULL, NULL, 'user'), (2, 'main', '/bin/sh', 'main.c', 42, 'user'),
  (3, 'execve', '[kernel]', NULL, NULL, 'kernel');
INSERT INTO stack VALUES (1, NULL, 1), (2, 1, 2), (3, 2, 3);
INSERT INTO sample VALUES (0, 3, 100, 100, -1, 2, 4008016);
INSERT INTO kernel VALUES (0, 1, 'aten::addmm', 'GEMM', 'forward', 'layers.0', 'main', '[64, 128] [128, 128]', 'f32 f32', 1,
  90000, 80000, 79000, 'clock', NULL, 2097152.0, 'declared', '1 MAC = 2', NULL, NULL, 'no formula');
INSERT INTO thread_time VALUES (0, 100, 100, 0, 'backward', 'GEMM', 'spinning', 200000, 'sampled', 'gomp_barrier_wait_end'),
  (0, 100, 100, 0, '', '', 'working', 1000000, 'software counter', NULL);
INSERT INTO kernel_counter VALUES (0, 1, 'instructions', '1', 100.0, 'scaled hardware counter', 0.5, 'rdpmc', NULL, NULL, 80.0, 120.0);
INSERT INTO simulated_count VALUES (0, 'category', 'GEMM', '', '', 'Ir', 1000000.0);
INSERT INTO training_step VALUES (0, 0, 0, 500000, 400000, 32, 2.25);
INSERT INTO training_epoch VALUES (0, '', 0, 900000, 800000, 64, 2.125, 'HR@10', 0.625);
INSERT INTO inference_query VALUES (0, 0, 15000, 32);
INSERT INTO note VALUES (0, 0, 'warning', 'an example');
