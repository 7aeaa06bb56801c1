# Memory-order labels: see README.md. Run from the root over core/atomic.h first, then over every file twice, `pass=2`
# between the two.

function finish_comment()
{
    gsub(/[ \t*]+/, " ", text)
    if (text ~ /pairs with (\[|the kernel)/)
        explain(text, FILENAME)
    else if (match(text, /(core|sync|ipc)\/[a-z_\/]+\.[ch]/))
        explain(text, substr(text, RSTART, RLENGTH))
    text = ""
}

# The pair of each label in `words` is told in `file`.
function explain(words, file,    label)
{
    while (match(words, LABEL)) {
        label = substr(words, RSTART, RLENGTH)
        if (told[FILENAME, label] != FILENAME)
            told[FILENAME, label] = file
        words = substr(words, RSTART + RLENGTH)
    }
}

function explained(file, label)
{
    file = told[file, label]
    return file != "" && told[file, label] == file
}

# Splits $0 into code and comment; `inside` carries an open /* over lines.
function read_line(    rest, at)
{
    code = comment = ""
    rest = $0
    while (rest != "") {
        if (inside) {
            at = index(rest, "*/")
            comment = comment (at ? substr(rest, 1, at - 1) : rest)
            rest = at ? substr(rest, at + 2) : ""
            inside = !at
        } else if (match(rest, /\/[\/*]/)) {
            code = code substr(rest, 1, RSTART - 1)
            if (substr(rest, RSTART, 2) == "//") {
                comment = comment substr(rest, RSTART + 2)
                rest = ""
            } else {
                inside = 1
                rest = substr(rest, RSTART + 2)
            }
        } else {
            code = code rest
            rest = ""
        }
    }
}

function ordered(words)
{
    if (words ~ /__ATOMIC_(ACQUIRE|RELEASE|ACQ_REL|SEQ_CST|CONSUME)/)
        return 1
    while (match(words, NAME)) {
        if (any_width(substr(words, RSTART, RLENGTH)) in operation)
            return 1
        words = substr(words, RSTART + RLENGTH)
    }
    return 0
}

# shoal_load32_acquire, shoal_load##bits##_acquire
function any_width(name)
{
    gsub(/##[a-z]+##|[0-9]+/, "", name)
    return name
}

function bad(why)
{
    print FILENAME ":" FNR ": " why
    failed = 1
}

function check_labels(words,    n, label, header)
{
    header = FILENAME
    sub(/(_internal)?\.[ch]$/, ".h", header)
    while (match(words, LABEL)) {
        label = substr(words, RSTART, RLENGTH)
        words = substr(words, RSTART + RLENGTH)
        n++
        if (!explained(FILENAME, label) && !explained(header, label))
            bad(label " has no pair: say what it pairs with, or list it under ORDERING")
    }
    if (!n)
        bad("a memory order without a label")
}

BEGIN {
    LABEL = "\\[[A-Z]+[0-9]+[a-z]?\\]"
    NAME = "shoal_[a-z0-9_#]+"
    atomic = "core/atomic.h"
}

FILENAME == atomic {
    while (match($0, NAME)) {
        name = any_width(substr($0, RSTART, RLENGTH))
        if (name ~ /_(acquire|release|acq_rel|seq_cst)(_[a-z0-9]+)?$/)
            operation[name] = 1
        $0 = substr($0, RSTART + RLENGTH)
    }
    next
}

FNR == 1 { inside = section = 0; text = above = "" }

{
    read_line()
    blank = code ~ /^[ \t]*$/
}

pass != 2 {
    if (comment ~ /^[ \t*]*[A-Z][A-Z]+([^a-z]|$)/)
        section = comment ~ /ORDERING/
    if (comment == "" && !inside)
        section = 0
    if (section)
        explain(comment, FILENAME)
    if (!blank)
        finish_comment()
    text = text " " comment
    if (comment == "" && !inside)
        finish_comment()
    next
}

{
    if (code ~ /__sync_[a-z]|stdatomic\.h/)
        bad("orders are named, through core/atomic.h")
    if (ordered(code))
        check_labels(above " " comment)
    above = blank ? (comment == "" && !inside ? "" : above " " comment) : comment
}

END { exit failed }
