"""Libraries of the system as `@system//:<name>`. A missing one fails only what needs it, naming its package."""

# Present if pkg-config knows `pc`, or if `header` is there, or the folder `include` ({arch}: Debian's name of the machine). `link`
# replaces what pkg-config says where Debian has a static library, or where it says too much.
_LIBRARIES = {
    "ck": struct(package = "libck-dev", pc = "ck", link = ["-l:libck.a"]),
    "jemalloc": struct(package = "libjemalloc-dev", pc = "jemalloc", link = ["-l:libjemalloc.a", "-lm"]),
    "msgpack": struct(package = "libmsgpack-dev", pc = "msgpack", link = ["-l:libmsgpackc.a"]),
    "ncurses": struct(package = "libncurses-dev", pc = "ncursesw", link = ["-l:libncursesw.a", "-l:libtinfo.a"]),
    "cmocka": struct(package = "libcmocka-dev", pc = "cmocka"),
    "benchmark": struct(package = "libbenchmark-dev", pc = "benchmark"),
    "dpdk": struct(package = "libdpdk-dev", pc = "libdpdk", link = ["-lrte_ring", "-lrte_eal"]),
    "absl": struct(package = "libabsl-dev", pc = "absl_synchronization"),
    "absl_map": struct(package = "libabsl-dev", pc = "absl_flat_hash_map"),
    "nsync": struct(package = "libnsync-dev", header = "nsync.h", link = ["-lnsync_cpp"]),
    "boost": struct(package = "libboost-dev", header = "boost/version.hpp"),
    "concurrentqueue": struct(package = "libconcurrentqueue-dev", header = "concurrentqueue/concurrentqueue.h"),
    "readerwriterqueue": struct(package = "libreaderwriterqueue-dev", header = "readerwriterqueue/readerwriterqueue.h"),
    "tbb": struct(package = "libtbb-dev", pc = "tbb"),
    "zeromq": struct(package = "libzmq3-dev", header = "zmq.h", link = ["-lzmq"]),
    "lmdb": struct(package = "liblmdb-dev", header = "lmdb.h", link = ["-llmdb"]),
    "hiredis": struct(package = "libhiredis-dev", header = "hiredis/hiredis.h", link = ["-lhiredis"]),
    "iceoryx": struct(
        package = "libiceoryx-posh-dev libacl1-dev",  # the latter is missing among the former's own
        include = "/usr/include/iceoryx/v2.0.3",
        link = ["-liceoryx_posh_roudi", "-liceoryx_posh", "-liceoryx_hoofs", "-liceoryx_platform"],
    ),
    "openmpi": struct(
        package = "libopenmpi-dev",
        include = "/usr/lib/{arch}/openmpi/include",
        link = ["-L/usr/lib/{arch}/openmpi/lib", "-lmpi"],
    ),
    "mpich": struct(package = "libmpich-dev", include = "/usr/include/{arch}/mpich", link = ["-lmpich"]),
}

def _pkg_config(ctx, *args):
    found = ctx.execute(["pkg-config"] + list(args))
    return [f for f in found.stdout.strip().split(" ") if f] if found.return_code == 0 else None

def _missing(name, package):
    return """
genrule(
    name = "{name}_missing",
    outs = ["{name}_missing.h"],
    cmd = "echo >&2 'shoal: {name} is not installed: apt-get install {package}, then bazel shutdown'; exit 1",
)

cc_library(
    name = "{name}",
    hdrs = ["{name}_missing.h"],
)
""".format(name = name, package = package)

def _found(ctx, name, cflags, link):
    includes = []
    for flag in cflags:
        if flag.startswith("-I"):
            directory = "{}_{}".format(name, len(includes))
            ctx.symlink(flag[2:], directory)
            includes.append(directory)
    return """
cc_library(
    name = "{name}",
    hdrs = glob({globs}),
    includes = {includes},
    linkopts = {link},
)
""".format(name = name, globs = [i + "/**" for i in includes], includes = includes, link = link)

def _system_libraries_impl(ctx):
    build = ['package(default_visibility = ["//visibility:public"])\n']
    arch = ctx.execute(["gcc", "-print-multiarch"]).stdout.strip()
    for name, lib in _LIBRARIES.items():
        cflags, link = [], getattr(lib, "link", None)
        if hasattr(lib, "pc"):
            cflags = _pkg_config(ctx, "--cflags", lib.pc)
            link = link or _pkg_config(ctx, "--libs", lib.pc)
            present = cflags != None and link != None
        elif hasattr(lib, "include"):
            cflags = ["-I" + lib.include.format(arch = arch)]
            link = [flag.format(arch = arch) for flag in link]
            present = ctx.path(cflags[0][2:]).exists
        else:
            present = ctx.path("/usr/include/" + lib.header).exists
        build.append(_found(ctx, name, cflags, link or []) if present else _missing(name, lib.package))
    ctx.file("BUILD", "".join(build))

system_libraries = repository_rule(
    implementation = _system_libraries_impl,
    local = True,
    environ = ["PKG_CONFIG_PATH"],
)
