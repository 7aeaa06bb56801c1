# Include direction: see README.md. Run from the root over files named by their path from there.

BEGIN {
    split("core 0 sync 1 ipc/queue 2 ipc/data 2 ipc/work 3 ipc/comm 3 ipc/remote 4 tools 5 bench 9 examples 9", word, " ")
    for (i = 1; i in word; i += 2)
        level[word[i]] = word[i + 1]
    level["tests"] = 99
    leaf["ipc/data/codec.h"] = 1.5  # includes core only, so that both rooms above may
}

function level_of(path, room) { return path in leaf ? leaf[path] : level[room] }

function room(path,    part, n)
{
    n = split(path, part, "/")
    if (n > 2 && part[1] == "ipc")
        return part[1] "/" part[2]
    return n > 1 ? part[1] : ""
}

function bad(why)
{
    print FILENAME ":" FNR ": " why ": " $0
    failed = 1
}

FNR == 1 { from = room(FILENAME) }

/^[ \t]*#[ \t]*include[ \t]*["<]/ {
    quoted = index($0, "\"")
    split($0, part, /["<>]/)
    to = room(part[2])
    if (!(to in level)) {
        if (quoted)
            bad("not a path from the root")
    } else if (from != to && from != "tests") {
        if (level_of(part[2], to) >= level[from])
            bad(from " may not include " to)
        else if (level[from] >= level["tools"] && part[2] ~ /_internal\.h$/)
            bad(from " sees public headers only")
    }
}

END { exit failed }
