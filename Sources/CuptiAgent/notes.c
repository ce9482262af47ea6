// What happened, and what time is it for CUPTI? Kept for the writing thread, whichever thread saw it.
#include <stdio.h>
#include <string.h>

#include "state.h"

const char *result_name(cupti_result result) {
  const char *name = NULL;
  if (agent.library.call.cuptiGetResultString == NULL ||
      agent.library.call.cuptiGetResultString(result, &name) != CUPTI_OK || name == NULL)
    return "unknown result";
  return name;
}

void note(kiviat_cupti_stage stage, kiviat_cupti_severity severity, int code, const char *text) {
  uint64_t now = monotonic_ns();
  pthread_mutex_lock(&agent.lock);
  if (agent.note_count < NOTES && agent.notes_ever < MAX_NOTES_EVER) {
    note_entry *entry = &agent.notes[agent.note_count++];
    *entry = (note_entry){.time_ns = now, .stage = stage, .severity = severity, .code = code};
    snprintf(entry->text, sizeof entry->text, "%s", text);
    agent.notes_ever += 1;
  }
  pthread_cond_broadcast(&agent.changed);
  pthread_mutex_unlock(&agent.lock);
}

void note_result(kiviat_cupti_stage stage, kiviat_cupti_severity severity, cupti_result result, const char *call) {
  char text[NOTE_TEXT];
  snprintf(text, sizeof text, "%s: %s", call, result_name(result));
  note(stage, severity, result, text);
}

void append_notes(void) {
  note_entry entries[8];
  for (;;) {
    pthread_mutex_lock(&agent.lock);
    size_t count = agent.note_count < 8 ? agent.note_count : 8;
    memcpy(entries, agent.notes, count * sizeof entries[0]);
    agent.note_count -= count;
    memmove(agent.notes, agent.notes + count, agent.note_count * sizeof entries[0]);
    pthread_mutex_unlock(&agent.lock);
    if (count == 0) return;
    for (size_t i = 0; i < count; i++) {
      kiviat_cupti_status status = {
          .time_ns = entries[i].time_ns,
          .stage = entries[i].stage,
          .severity = entries[i].severity,
          .code = entries[i].code,
          .text = recorder_string(entries[i].text),
      };
      recorder_append(&status, KIVIAT_CUPTI_STATUS, sizeof status);
    }
  }
}

// The clock.

bool read_clock(kiviat_cupti_clock *clock) {
  bool has = false;
  for (int i = 0; i < CLOCK_TRIES; i++) {
    uint64_t cupti = 0, before = monotonic_ns();
    if (agent.library.call.cuptiGetTimestamp(&cupti) != CUPTI_OK || cupti == 0) return false;
    uint64_t width = monotonic_ns() - before;
    if (!has || width < clock->width_ns)
      *clock = (kiviat_cupti_clock){.cupti_ns = cupti, .monotonic_ns = before + width / 2, .width_ns = width};
    has = true;
  }
  return has;
}

void take_clock(void) {
  kiviat_cupti_clock clock;
  if (!read_clock(&clock)) return;
  pthread_mutex_lock(&agent.lock);
  agent.clock = clock;
  agent.has_clock = true;
  pthread_cond_broadcast(&agent.changed);
  pthread_mutex_unlock(&agent.lock);
}
