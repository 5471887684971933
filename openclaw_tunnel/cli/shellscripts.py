"""The scripts that ``completion`` prints, one for each shell. Each asks the hidden command ``complete``.

Its answer is a line that says what may stand there (``words``, or ``files``, which the shell knows best), with what
precedes it in the same word (``--identity=``), and a line for each word.
"""

from collections.abc import Mapping

# Written for bash 3.2, which is what macOS has: no compopt (the shell's own files are then a fallback for everything),
# no mapfile. The whole line goes along, because bash splits words at @ and : in a way of its own.
_BASH = r"""# bash completion for openclaw-tunnel. For this shell:   eval "$(openclaw-tunnel completion bash)"
# For every shell:   openclaw-tunnel completion bash > ~/.openclaw-tunnel.bash
#                    echo '. ~/.openclaw-tunnel.bash' >> ~/.bashrc      (macOS: ~/.bash_profile)

_openclaw_tunnel() {
    local IFS=$'\n' answer program=$1
    COMPREPLY=()
    [[ $program != '~/'* ]] || program=$HOME/${program#'~/'}
    answer=$("$program" complete bash -- "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null </dev/null) ||
        return 0
    case $answer in
        words$'\n'*) COMPREPLY=(${answer#*$'\n'}) ;;
        files*) ! type compopt >/dev/null 2>&1 || compopt -o default ;;
    esac
}

if type compopt >/dev/null 2>&1; then
    complete -F _openclaw_tunnel openclaw-tunnel
else
    complete -o default -F _openclaw_tunnel openclaw-tunnel
fi
"""

_ZSH = r"""#compdef openclaw-tunnel
# zsh completion for openclaw-tunnel. For this shell:   source <(openclaw-tunnel completion zsh)
# For every shell, either   echo 'source <(openclaw-tunnel completion zsh)' >> ~/.zshrc
# or, quicker, as the file _openclaw-tunnel in a folder of $fpath:
#   openclaw-tunnel completion zsh > ~/.zfunc/_openclaw-tunnel
#   with these two lines in ~/.zshrc:   fpath+=~/.zfunc   and   autoload -Uz compinit && compinit

_openclaw-tunnel() {
    local -a answer before shown
    local line
    (( CURRENT > 2 )) && before=("${(@Q)words[2,CURRENT-1]}")
    answer=("${(@f)$(${(Q)~words[1]} complete zsh -- "${before[@]}" "${(Q)PREFIX}" 2>/dev/null </dev/null)}")
    local -a head=("${(@ps:\t:)answer[1]}")
    [[ -n ${head[2]} ]] && compset -P '--[^=]#='
    case ${head[1]} in
        files) _files ;;
        words)
            for line in "${(@)answer[2,-1]}"; do
                [[ -n $line ]] || continue
                local value=${line%%$'\t'*} about=${line#*$'\t'}
                shown+=("${value//:/\\:}${about:+:$about}")
            done
            _describe 'openclaw-tunnel' shown
            ;;
    esac
}

if [[ ${funcstack[1]} == _openclaw-tunnel ]]; then
    _openclaw-tunnel "$@"
else
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }
    compdef _openclaw-tunnel openclaw-tunnel
fi
"""

_FISH = r"""# fish completion for openclaw-tunnel. For this shell:   openclaw-tunnel completion fish | source
# For every shell:   openclaw-tunnel completion fish > ~/.config/fish/completions/openclaw-tunnel.fish

function __openclaw_tunnel_complete
    set -l before (commandline -opc)
    set -l program (string replace -r '^~/' "$HOME/" -- $before[1])
    set -e before[1]
    set -l word (commandline -ct)
    set -l answer ($program complete fish -- $before "$word" 2>/dev/null </dev/null)
    set -l head (string split \t -- $answer[1])
    set -e answer[1]
    set -l rest (string sub -s (math 1 + (string length -- "$head[2]")) -- "$word")
    switch "$head[1]"
        case files
            for found in (__fish_complete_path "$rest")
                echo $head[2]$found
            end
        case words
            for found in $answer
                echo $head[2]$found
            end
    end
end

complete -c openclaw-tunnel -f -a '(__openclaw_tunnel_complete)'
"""

SCRIPTS: Mapping[str, str] = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
