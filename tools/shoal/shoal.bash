# Completion of the shoal command for bash. The command itself tells its subcommands, their options and the segments.
_shoal() {
    local current=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} words
    if ((COMP_CWORD == 1)); then
        words=$(shoal --words 2>/dev/null)
    elif [[ $current == -* ]]; then
        words=$(shoal --words options 2>/dev/null | while read -r of short long; do
            [[ $of == "$command" ]] && echo "$short ${long%%=*}"
        done)
        words+=" --help --usage"
    else
        words=$(shoal --words segments 2>/dev/null)
    fi
    COMPREPLY=()
    while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -W "$words" -- "$current")
}
complete -o default -F _shoal shoal
