// elfutils as it is, for Swift: symbols, debug information and unwinding. Nothing is wrapped, because every function
// of libelf, libdw and libdwfl that Kiviat uses can be called from Swift directly.
#pragma once

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <elfutils/libdwfl.h>
#include <gelf.h>
#include <libelf.h>
#include <stddef.h>

// From the C++ runtime (Itanium C++ ABI, 3.4). It has no C header of its own.
char *__cxa_demangle(const char *mangled_name, char *output_buffer, size_t *length, int *status);
