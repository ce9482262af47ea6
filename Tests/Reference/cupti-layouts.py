#!/usr/bin/env python3
"""Does Sources/CuptiAgent/cupti_abi.h agree with NVIDIA's headers?

The headers may not be handed on, so this needs them from their wheels:

  Tests/Reference/cupti-layouts.py --download     CUDA 12.0, 12.4, 12.9 and 13.0, by pip (100 MB)
  Tests/Reference/cupti-layouts.py CUPTI CUDA     include folders of one version: with cupti.h, and with cuda.h

Every member that the agent reads, and every number that it gives CUPTI, is compared by a static assertion. Exit status 77
without headers or a C compiler (a test is skipped then).
"""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

ABI = pathlib.Path(__file__).resolve().parent.parent.parent / "Sources/CuptiAgent"
VERSIONS = [
    ("nvidia-cuda-cupti-cu12==12.0.146", "nvidia-cuda-runtime-cu12==12.9.79"),
    ("nvidia-cuda-cupti-cu12==12.4.127", "nvidia-cuda-runtime-cu12==12.9.79"),
    ("nvidia-cuda-cupti-cu12==12.9.79", "nvidia-cuda-runtime-cu12==12.9.79"),
    ("nvidia-cuda-cupti==13.0.85", "nvidia-cuda-runtime==13.0.96"),
]
# Ours, theirs (the newest of the numbered ones holds), and members that are called differently.
STRUCTURES = {
    "cupti_kernel": ("CUpti_ActivityKernel", """
        kind registers_per_thread=registersPerThread start end completed device=deviceId context=contextId
        stream=streamId grid=gridX block=blockX static_shared=staticSharedMemory dynamic_shared=dynamicSharedMemory
        local_per_thread=localMemoryPerThread correlation=correlationId name queued submitted launch_type=launchType
        shared_executed=sharedMemoryExecuted graph_node=graphNodeId graph=graphId cluster=clusterX"""),
    "cupti_memcpy": ("CUpti_ActivityMemcpy", """
        kind copy_kind=copyKind source_kind=srcKind destination_kind=dstKind flags bytes start end device=deviceId
        context=contextId stream=streamId correlation=correlationId graph_node=graphNodeId graph=graphId"""),
    "cupti_memcpy_peer": ("CUpti_ActivityMemcpyPtoP", """
        kind copy_kind=copyKind source_kind=srcKind destination_kind=dstKind flags bytes start end device=deviceId
        context=contextId stream=streamId source_device=srcDeviceId destination_device=dstDeviceId
        correlation=correlationId graph_node=graphNodeId graph=graphId"""),
    "cupti_memset": ("CUpti_ActivityMemset", """
        kind value bytes start end device=deviceId context=contextId stream=streamId correlation=correlationId
        memory_kind=memoryKind graph_node=graphNodeId graph=graphId"""),
    "cupti_api": ("CUpti_ActivityAPI", """
        kind cbid start end process=processId thread=threadId correlation=correlationId result=returnValue"""),
    "cupti_external": ("CUpti_ActivityExternalCorrelation", """
        kind external_kind=externalKind external_id=externalId correlation=correlationId"""),
    "cupti_synchronization": ("CUpti_ActivitySynchronization", """
        kind type start end correlation=correlationId context=contextId stream=streamId event=cudaEventId"""),
    "cupti_overhead": ("CUpti_ActivityOverhead", """
        kind overhead_kind=overheadKind object_kind=objectKind object=objectId start end"""),
    "cupti_context": ("CUpti_ActivityContext", """
        kind context=contextId device=deviceId api_kind=computeApiKind null_stream=nullStreamId"""),
    "cupti_device": ("CUpti_ActivityDevice", """
        kind memory_bandwidth=globalMemoryBandwidth memory_size=globalMemorySize l2_size=l2CacheSize
        threads_per_warp=numThreadsPerWarp core_clock=coreClockRate multiprocessors=numMultiprocessors max_ipc=maxIPC
        max_warps=maxWarpsPerMultiprocessor max_shared_per_multiprocessor=maxSharedMemoryPerMultiprocessor
        max_registers_per_multiprocessor=maxRegistersPerMultiprocessor compute_major=computeCapabilityMajor
        compute_minor=computeCapabilityMinor device=id ecc=eccEnabled uuid name is_mig=isMigEnabled"""),
    "cupti_api_data": ("CUpti_CallbackData", "site=callbackSite function_name=functionName"),
    "cupti_state_data": ("CUpti_StateData", "result=notification.result message=notification.message"),
}
NUMBERS = """
    CUPTI_OK=CUPTI_SUCCESS CUPTI_END_OF_BUFFER=CUPTI_ERROR_MAX_LIMIT_REACHED
    CUPTI_NOT_INITIALIZED=CUPTI_ERROR_NOT_INITIALIZED CUPTI_INVALID_KIND=CUPTI_ERROR_INVALID_KIND
    CUPTI_MULTIPLE_SUBSCRIBERS=CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED
    CUPTI_FLUSH_FORCED=CUPTI_ACTIVITY_FLAG_FLUSH_FORCED CUPTI_MEMCPY_ASYNC=CUPTI_ACTIVITY_FLAG_MEMCPY_ASYNC
    CUPTI_EXTERNAL_CUSTOM2=CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM2
    CUPTI_THREAD_ID_SYSTEM=CUPTI_ACTIVITY_THREAD_ID_TYPE_SYSTEM
    CUPTI_OBJECT_PROCESS=CUPTI_ACTIVITY_OBJECT_PROCESS CUPTI_OBJECT_THREAD=CUPTI_ACTIVITY_OBJECT_THREAD
    CUPTI_DOMAIN_DRIVER=CUPTI_CB_DOMAIN_DRIVER_API CUPTI_DOMAIN_RUNTIME=CUPTI_CB_DOMAIN_RUNTIME_API
    CUPTI_DOMAIN_RESOURCE=CUPTI_CB_DOMAIN_RESOURCE CUPTI_DOMAIN_STATE=CUPTI_CB_DOMAIN_STATE
    CUPTI_SITE_ENTER=CUPTI_API_ENTER CUPTI_SITE_EXIT=CUPTI_API_EXIT
    CUPTI_STATE_FATAL_ERROR=CUPTI_CBID_STATE_FATAL_ERROR CUPTI_STATE_ERROR=CUPTI_CBID_STATE_ERROR
    CUPTI_CBID_PROFILER_STOP=CUPTI_DRIVER_TRACE_CBID_cuProfilerStop
    CUPTI_CBID_PRIMARY_CONTEXT_RESET=CUPTI_DRIVER_TRACE_CBID_cuDevicePrimaryCtxReset
    CUPTI_CBID_PRIMARY_CONTEXT_RESET_V2=CUPTI_DRIVER_TRACE_CBID_cuDevicePrimaryCtxReset_v2
    CUPTI_CBID_RUNTIME_DEVICE_RESET=CUPTI_RUNTIME_TRACE_CBID_cudaDeviceReset_v3020
    CUPTI_CBID_RUNTIME_PROFILER_STOP=CUPTI_RUNTIME_TRACE_CBID_cudaProfilerStop_v4000
"""
KINDS = """MEMCPY MEMSET DRIVER RUNTIME DEVICE CONTEXT CONCURRENT_KERNEL OVERHEAD MEMCPY2 SYNCHRONIZATION
    EXTERNAL_CORRELATION"""
# What came after CUDA 12.0: the agent does without where it is missing.
LATER = {"CUpti_StateData", "CUPTI_CB_DOMAIN_STATE", "CUPTI_CBID_STATE_FATAL_ERROR", "CUPTI_CBID_STATE_ERROR"}
# cuda_runtime's headers want the compiler's: these few words are all that CUPTI's need of them.
HOST_DEFINES = """#pragma once
#define __host__
#define __device__
#define __device_builtin__
#define __device_builtin_texture_type__
#define __device_builtin_surface_type__
#define __cudart_builtin__
#define __align__(n) __attribute__((aligned(n)))
#define __builtin_align__(n) __align__(n)
#define __location__(a)
#define CUDARTAPI
#define CUDARTAPI_CDECL
"""


def newest(text, name):
    """The structure that this version fills in: the one with the highest number."""
    numbers = [int(n or 0) for n in re.findall(rf"\}}\s*{name}(\d*)\s*;", text)]
    if not numbers:
        raise OSError(f"the headers have no {name}")
    return name + (str(max(numbers)) if max(numbers) else "")


def program(cupti):
    lines = ["#include <stddef.h>", "#include <stdint.h>", "#include <cupti.h>", '#include "cupti_abi.h"']
    count = 0
    text = "".join(path.read_text(errors="replace") for path in sorted(pathlib.Path(cupti).glob("cupti_*.h")))
    missing = {name for name in LATER if re.search(rf"\b{name}\b", text) is None}
    for ours, (base, members) in STRUCTURES.items():
        if base in missing:
            continue
        theirs = newest(text, base)
        for member in members.split():
            mine, _, other = member.partition("=")
            other = other or mine
            lines.append(f'_Static_assert(offsetof({ours}, {mine}) == offsetof({theirs}, {other}), "{theirs}.{other}");')
            # Three dimensions are an array with us.
            size = f"sizeof((({ours} *)0)->{mine})"
            if mine in ("grid", "block", "cluster"):
                size = f"sizeof((({ours} *)0)->{mine}[0])"
            lines.append(f'_Static_assert({size} == sizeof((({theirs} *)0)->{other}), "size of {theirs}.{other}");')
            count += 2
    pairs = [pair.split("=") for pair in NUMBERS.split()] + [
        [f"CUPTI_KIND_{kind}", f"CUPTI_ACTIVITY_KIND_{kind}"] for kind in KINDS.split()]
    for mine, other in pairs:
        if other in missing:
            continue
        lines.append(f'_Static_assert((int){mine} == (int){other}, "{other}");')
        count += 1
    lines.append('_Static_assert(CUPTI_API_VERSION >= CUPTI_OLDEST_VERSION, "the oldest version");')
    return "\n".join(lines) + "\n", count, missing


def check(cupti, cuda, title, folder):
    compiler = shutil.which("cc") or shutil.which("clang") or shutil.which("gcc")
    if compiler is None:
        raise OSError("no C compiler")
    stub = pathlib.Path(folder) / "crt"
    stub.mkdir(exist_ok=True)
    (stub / "host_defines.h").write_text(HOST_DEFINES)
    text, count, missing = program(cupti)
    source = pathlib.Path(folder) / "layouts.c"
    source.write_text(text)
    command = [compiler, "-std=gnu11", "-w", "-fsyntax-only", "-I", str(ABI), "-I", str(cupti), "-I", str(cuda), "-I", folder]
    done = subprocess.run(command + [str(source)], capture_output=True, text=True)
    if done.returncode != 0:
        print(f"{title}: differs\n{done.stderr[:4000]}", file=sys.stderr)
        return False
    print(f"{title}: {count} members and numbers agree" + "".join(f", without {name}" for name in sorted(missing)))
    return True


def download(folder):
    """Include folders of each version, from its wheels."""
    for cupti, cuda in VERSIONS:
        found = []
        for package, header in ((cupti, "cupti.h"), (cuda, "cuda.h")):
            place = pathlib.Path(folder) / package.replace("==", "-")
            if not place.exists():
                wheels = place.with_suffix(".wheels")
                command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(wheels), package]
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode != 0:
                    raise OSError(f"pip can't download {package}: {done.stderr.strip()[-300:]}")
                with zipfile.ZipFile(next(wheels.iterdir())) as wheel:
                    wheel.extractall(place)
            found.append(next(place.rglob(header)).parent)
        yield cupti, found[0], found[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", help="include folders: CUPTI's and CUDA's")
    parser.add_argument("--download", action="store_true")
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            if arguments.download:
                good = [check(cupti, cuda, title, folder) for title, cupti, cuda in download(folder)]
            elif len(arguments.folders) == 2:
                good = [check(arguments.folders[0], arguments.folders[1], arguments.folders[0], folder)]
            else:
                raise OSError("no headers: --download, or two folders")
    except OSError as error:
        print(f"cupti-layouts: skipped: {error}", file=sys.stderr)
        return 77
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
