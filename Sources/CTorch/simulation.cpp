// How does Callgrind learn which kernel's instructions it counts?
//
// Callgrind adds costs up by function, not by kernel: a matrix product and a convolution share the library's inner
// loop. So whenever the group of the running kernel changes, what was counted since the last change is written as a
// part of its own, with the group as the part's trigger text, and counting starts at nothing.
#include "simulation.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <unistd.h>
#include <unordered_map>
#include <vector>

#include "kiviat_kernel_trace.h"

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#define KIVIAT_HAS_CALLGRIND 1
#endif

namespace kiviat {

bool simulates = false;

#ifdef KIVIAT_HAS_CALLGRIND

namespace {

/// Iterations that run outside the simulator, that fill its caches, and that count.
unsigned skipped = 0, warming = 0, counted = 0;
unsigned iterations = 0;
bool is_counting = false;
/// Callgrind's own switch can only be turned over.
bool is_collecting = false;
bool data_ran = false;
uint32_t running = simulation_outside;
uint32_t depth_of_pause = 0;
std::vector<std::string> groups = {"kiviat:"};
std::unordered_map<std::string, uint32_t> numbers = {{"kiviat:", simulation_outside}};
std::unordered_map<std::string, std::string> told;

/// The macro keeps the text's address in a variable of its own, so a temporary text would be gone when it is read.
void write_part(const std::string &text) { CALLGRIND_DUMP_STATS_AT(text.c_str()); }

/// Ends the part of the group that ran. Its text also names what follows: a run that is ended from outside has a last
/// part with a text of Callgrind's own.
void end_part(uint32_t next) {
  write_part(groups[running] + "|" + groups[next]);
  running = next;
}

/// Ends an iteration: the reader keeps whole ones.
void end_iteration() {
  write_part(groups[running] + "|kiviat:iteration");
  running = simulation_outside;
}

void collect(bool on) {
  if (on != is_collecting) CALLGRIND_TOGGLE_COLLECT;
  is_collecting = on;
}

}  // namespace

void simulation_open() {
  // The data of the simulator's caches and the text of its parts are one process's: once is enough.
  if (simulates || !RUNNING_ON_VALGRIND) return;
  const char *plan = getenv("KIVIAT_SIMULATION");
  if (!plan || sscanf(plan, "%u,%u,%u", &skipped, &warming, &counted) != 3 || counted == 0) return;
  if (const char *path = getenv("KIVIAT_SIMULATION_CATEGORIES")) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
      size_t tab = line.find('\t');
      if (tab != std::string::npos) told[line.substr(0, tab)] = line.substr(tab + 1);
    }
  }
  simulates = true;
}

uint32_t simulation_group(const char *operation) {
  auto category = told.find(operation);
  std::string group = category != told.end() ? "kiviat:c:" + category->second : std::string("kiviat:o:") + operation;
  auto found = numbers.emplace(group, uint32_t(groups.size()));
  if (found.second) groups.push_back(group);
  return found.first->second;
}

void simulation_pause() {
  if (is_counting && depth_of_pause++ == 0) collect(false);
}

void simulation_resume(uint32_t group) {
  if (!is_counting || depth_of_pause == 0 || --depth_of_pause > 0) return;
  if (group != running) end_part(group);
  collect(true);
}

void simulation_phase(int phase) {
  static bool is_evaluating = false;
  // An evaluation between two steps belongs to neither.
  if (is_evaluating != (phase == KIVIAT_PHASE_EVALUATION) && iterations > skipped) {
    is_evaluating = phase == KIVIAT_PHASE_EVALUATION;
    is_counting = !is_evaluating;
    collect(is_counting);
  }
  if (phase == KIVIAT_PHASE_DATA) data_ran = true;
  if (phase != KIVIAT_PHASE_FORWARD || !data_ran || is_evaluating) return;
  data_ran = false;
  unsigned iteration = iterations++;
  if (iteration < skipped) return;
  // The first that is counted finds the caches empty; the reader leaves out as many as there are for warming up.
  if (iteration == skipped) {
    CALLGRIND_START_INSTRUMENTATION;
    is_counting = true;
    collect(true);
    return;
  }
  collect(false);
  end_iteration();
  if (iteration == skipped + warming + counted) {
    CALLGRIND_STOP_INSTRUMENTATION;
    // What follows is neither counted nor wanted, and in the simulator it takes many times as long.
    _exit(0);
  }
  collect(true);
}

#else

void simulation_open() {}
uint32_t simulation_group(const char *) { return simulation_outside; }
void simulation_pause() {}
void simulation_resume(uint32_t) {}
void simulation_phase(int) {}

#endif

}  // namespace kiviat
