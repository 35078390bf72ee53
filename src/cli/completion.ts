/** A shell that there is a script for. */
export type Shell = 'bash' | 'zsh' | 'fish';

/** The shells, for those who choose one. */
export const SHELLS: readonly Shell[] = ['bash', 'zsh', 'fish'];

/**
 * A script for a shell to read, after which it completes the words of a tsrun command line. It asks `tsrun completion --words` for them:
 * a word a line, with a tab and a description behind it, or a line that says of what kind they are.
 *
 * It calls the tsrun that the shell finds, and not the one on the line, which may be in a stranger's directory.
 */
export function completionScript(shell: Shell): string {
  return { bash, zsh, fish }[shell];
}

/** Lines in place of words. */
export const FILES = ':files';
/** The same for directories. */
export const DIRECTORIES = ':directories';

// bash cuts words at = and : as well, and replaces only what is behind the last of them.
const bash = `_tsrun() {
  local -a words=()
  local index word open= line whole prefix cur=\${COMP_WORDS[COMP_CWORD]}
  for ((index = 1; index <= COMP_CWORD; index++)); do
    word=\${COMP_WORDS[index]}
    if [[ -n $open && \${#words[@]} -gt 0 ]] || [[ $word == [=:]* && \${#words[@]} -gt 0 ]]; then
      words[\${#words[@]}-1]+=$word
    else
      words+=("$word")
    fi
    [[ $word == [=:]* ]] && open=1 || open=
  done
  [[ $cur == [=:]* ]] && cur=
  whole=\${words[\${#words[@]}-1]}
  prefix=\${whole%"$cur"}
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      ${FILES}) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
      ${DIRECTORIES}) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
      *) line=\${line%%$'\\t'*}; COMPREPLY+=("\${line#"$prefix"}") ;;
    esac
  done < <(tsrun completion --words -- "\${words[@]}" 2>/dev/null)
}
complete -F _tsrun tsrun
`;

const zsh = `#compdef tsrun
_tsrun() {
  local line word prefix=
  local -a offered
  local -a lines=("\${(@f)$(tsrun completion --words -- "\${(@Q)words[2,CURRENT-1]}" "\${(Q)PREFIX}" 2>/dev/null)}")
  [[ $PREFIX == --*=* ]] && prefix="\${PREFIX%%=*}=" && compset -P '*='
  for line in "\${lines[@]}"; do
    case $line in
      '') ;;
      ${FILES}) _files; return ;;
      ${DIRECTORIES}) _files -/; return ;;
      *)
        word=\${\${line%%$'\\t'*}#"$prefix"}
        if [[ $line == *$'\\t'* ]]; then
          offered+=("\${word//:/\\\\:}:\${line#*$'\\t'}")
        else
          offered+=("\${word//:/\\\\:}")
        fi ;;
    esac
  done
  (( \${#offered} )) && _describe tsrun offered
}
if [[ $funcstack[1] == _tsrun ]]; then
  _tsrun "$@"
else
  compdef _tsrun tsrun
fi
`;

const fish = `function __tsrun_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  set -q current[1]; or set current ''
  set -e words[1]
  set -l option (string match -r -- '^--[^=]+=' $current)
  set -q option[1]; or set option ''
  set -l value (string replace -r -- '^--[^=]+=' '' $current)
  for line in (tsrun completion --words -- $words $current 2>/dev/null)
    switch $line
      case ${FILES}
        printf '%s\\n' $option(__fish_complete_path $value)
      case ${DIRECTORIES}
        printf '%s\\n' $option(__fish_complete_directories $value)
      case '*'
        printf '%s\\n' $line
    end
  end
end
complete -c tsrun -f -a '(__tsrun_complete)'
`;
