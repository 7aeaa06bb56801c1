"""What a workspace needs that has shoal as a repository: Debian's libraries, and what Bazel's own toolchain asks for."""

load("//bazel:system.bzl", "system_libraries")

def _bundled_impl(ctx):
    for file in ctx.path(Label("//bazel:system.bzl")).dirname.get_child(ctx.attr.folder).readdir():
        ctx.symlink(file, file.basename)

_bundled = repository_rule(
    implementation = _bundled_impl,
    attrs = {"folder": attr.string()},
    local = True,
)

def shoal_repositories():
    """All from this tree and from Debian: nothing is downloaded. A repository that is there already is left as it is."""
    there = native.existing_rules()
    if "system" not in there:
        system_libraries(name = "system")
    for name, folder in {"rules_cc": "rules_cc", "remote_coverage_tools": "coverage"}.items():
        if name not in there:
            _bundled(name = name, folder = folder)
    for name in ["rules_java", "rules_proto"]:
        if name not in there:
            native.local_repository(name = name, path = "/usr/share/bazel/rules/" + name[len("rules_"):])
