"""What a BUILD file of this house says: shoal_library, shoal_test(s), shoal_bench(es), shoal_example, shoal_binary."""

_WARN = ["-Wall", "-Wextra", "-Werror"]
_C = _WARN + ["-std=gnu11", "-D_GNU_SOURCE", "-pthread"]
_CXX = _WARN + ["-std=c++17", "-pthread"]
_LINK = ["-pthread", "-Wl,-z,now,--as-needed"]

_MALLOC = "//bazel:malloc"

# A hang lasts for ever; what is slow because others are busy, too, does not. Programs end themselves after ten minutes
# (tests/harness/drivers.h), and say where; a size says what a test needs, not how long it may take.
_TIMEOUT = "long"

def _stem(file):
    return file.rsplit(".", 1)[0]

def shoal_library(name, srcs = None, hdrs = None, deps = [], visibility = ["//visibility:public"], **kwargs):
    """A room: by default every .c and .h beside the BUILD file, *_internal.h private.

    `<name>_sources` are its files, `<name>_hdrs` the public ones; `<name>_headers_test` compiles every public header alone, as C11 and as C++17."""
    internal = native.glob(["*_internal.h"])
    srcs = native.glob(["*.c"]) if srcs == None else srcs
    hdrs = native.glob(["*.h"], exclude = internal) if hdrs == None else hdrs
    native.cc_library(
        name = name,
        srcs = srcs + internal,
        hdrs = hdrs,
        copts = _C + ["-fno-function-sections"],  # --gc-sections would drop functions that tracepoints name
        linkopts = ["-pthread"],
        linkstatic = True,
        visibility = visibility,
        deps = deps,
        **kwargs
    )
    native.filegroup(
        name = name + "_sources",
        srcs = depset(srcs + internal + hdrs).to_list(),
        visibility = visibility,
    )
    native.filegroup(
        name = name + "_hdrs",
        srcs = hdrs,
        visibility = visibility,
    )
    if hdrs:
        _headers_test(name, hdrs)

def _headers_test(library, hdrs):
    alone = "{}_headers".format(library)
    sources = {"c": [], "cc": []}
    for h in hdrs:
        path = "{}/{}".format(native.package_name(), h) if native.package_name() else h
        for ext in sources:
            out = "{}/{}.{}".format(alone, h, ext)
            native.genrule(
                name = out.replace("/", "_") + "_gen",
                outs = [out],
                cmd = "echo '#include \"{}\"' > $@".format(path),
            )
            sources[ext].append(out)
    main = alone + "/main.c"
    native.genrule(name = alone + "_main", outs = [main], cmd = "echo 'int main(void) { return 0; }' > $@")
    native.cc_library(
        name = alone + "_cxx17",
        testonly = True,
        srcs = sources["cc"],
        copts = _CXX + ["-Wpedantic"],
        linkstatic = True,
        deps = [library],
    )
    native.cc_test(
        name = alone + "_test",
        size = "small",
        srcs = sources["c"] + [main],
        copts = _WARN + ["-Wpedantic", "-std=c11", "-D_GNU_SOURCE"],
        deps = [library, alone + "_cxx17"],
    )

def shoal_binary(name, srcs, deps = [], copts = [], linkopts = [], malloc = _MALLOC, **kwargs):
    """A program in C."""
    native.cc_binary(
        name = name,
        srcs = srcs,
        copts = _C + copts,
        linkopts = _LINK + linkopts,
        malloc = malloc,
        deps = deps,
        **kwargs
    )

def shoal_test(name, srcs, deps = [], copts = [], linkopts = [], size = "small", tags = [], **kwargs):
    """A cmocka test. Tags: no-asan, no-tsan, exclusive."""
    native.cc_test(
        name = name,
        size = size,
        timeout = _TIMEOUT,
        srcs = srcs,
        copts = _C + copts,
        linkopts = _LINK + linkopts,
        linkstatic = True,
        malloc = _MALLOC,
        tags = tags,
        deps = deps + ["@system//:cmocka"],
        **kwargs
    )

def shoal_tests(deps, options = {}):
    """Every x_test.c beside the BUILD file is the test x_test; *.h is theirs. `options`: {"x_test": {"size": "large"}}; its
    `deps` come on top."""
    for src in native.glob(["*_test.c"]):
        own = dict(options.get(_stem(src), {}))
        more = own.pop("deps", [])
        shoal_test(
            name = _stem(src),
            srcs = [src] + native.glob(["*.h"]),
            deps = deps + more + ["//tests/harness"],
            **own
        )

def shoal_fuzzer(name, deps = [], srcs = [], linkopts = []):
    """x_fuzz.c: with --config=fuzz the program x, driven by libFuzzer; without, x_replay_test, which runs what corpus/x keeps."""
    srcs = [name + "_fuzz.c", "fuzz.h"] + srcs
    shoal_binary(
        name = name,
        srcs = srcs,
        linkopts = linkopts + ["-fsanitize=fuzzer"],
        tags = ["manual"],
        testonly = True,
        deps = deps,
    )
    corpus = native.glob(["corpus/{}/*".format(name)])
    native.cc_test(
        name = name + "_replay_test",
        size = "small",
        timeout = _TIMEOUT,
        srcs = srcs + ["replay.c"],
        copts = _C,
        linkopts = _LINK + linkopts,
        linkstatic = True,
        malloc = _MALLOC,
        args = ["{}/corpus/{}".format(native.package_name(), name)],
        data = corpus,
        tags = ["no-tsan"],
        deps = deps,
    )

def shoal_bench(name, srcs, deps = [], peers = [], tags = [], **kwargs):
    """A Google Benchmark program in C++17. With `peers` (names in @system) it is manual: built only when asked for."""
    native.cc_binary(
        name = name,
        srcs = srcs,
        copts = _CXX + ["-O2"],
        linkopts = _LINK,
        malloc = _MALLOC,
        tags = tags + (["manual"] if peers else []),
        deps = deps + ["@system//:benchmark"] + ["@system//:" + p for p in peers],
        **kwargs
    )

def shoal_benches(deps, options = {}):
    """Every x_bench.cc beside the BUILD file is the benchmark x_bench. `options`: {"x_bench": {"peers": ["dpdk"]}}."""
    for src in native.glob(["*_bench.cc"]):
        shoal_bench(
            name = _stem(src),
            srcs = [src] + native.glob(["*.h"]),
            deps = deps,
            **options.get(_stem(src), {})
        )

def shoal_example(name, srcs = None, expected = None, deps = [], args = [], size = "small", ids = False, threads = False, **kwargs):
    """The program `name` from name.c, and `<name>_test`: its output must be that of name.expected.

    `threads`: it has some, and so a thread sanitizer something to see. `ids`: numbers that stand alone are those of processes, and may be any."""
    expected = expected or name + ".expected"
    shoal_binary(name = name, srcs = srcs or [name + ".c"], deps = deps, **kwargs)
    native.sh_test(
        name = name + "_test",
        size = size,
        timeout = _TIMEOUT,
        srcs = ["//bazel:compare.sh"],
        tags = [] if threads else ["no-tsan"],
        args = (["--ids"] if ids else []) + ["$(location {})".format(expected), "$(location {})".format(name)] + args,
        data = [expected, name],
    )
