_oppman_completion() {
    local IFS=$'\n' at=0
    if [[ ${1##*/} != oppman.py ]]; then
        [[ ${COMP_WORDS[1]##*/} == oppman.py && $COMP_CWORD -gt 1 ]] || return 0
        at=1
    fi
    COMPREPLY=( $( env COMP_WORDS="${COMP_WORDS[*]:$at}" \
                   COMP_CWORD=$((COMP_CWORD - at)) \
                   _OPPMAN.PY_COMPLETE=complete_bash "${COMP_WORDS[@]:0:at+1}" 2>/dev/null ) )
    return 0
}

complete -o bashdefault -o default -F _oppman_completion oppman.py python3 python py
