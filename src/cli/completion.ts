import type { OptionTable } from './options/table.ts';

/** What a shell completes: the options of tsrun, and its commands with theirs. */
export interface CompletionTable {
  readonly options: OptionTable;
  readonly commands: Readonly<Record<string, CompletedCommand>>;
}

/** What of a command can be completed. */
export interface CompletedCommand {
  readonly description: string;
  readonly options: OptionTable;
  /** The first argument is the id of a container. */
  readonly takesId: boolean;
}

/** A shell that there is a script for. */
export type Shell = 'bash' | 'zsh' | 'fish';

/** A script for a shell to read, after which it completes the words of a tsrun command line. */
export function completionScript(shell: Shell, table: CompletionTable): string {
  switch (shell) {
    case 'bash':
      return bashScript(table);
    case 'zsh':
      // zsh runs bash's completions; it has no array COMP_WORDS otherwise.
      return `#compdef tsrun\nautoload -U +X bashcompinit && bashcompinit\n${bashScript(table)}`;
    case 'fish':
      return fishScript(table);
  }
}

const listIds = 'tsrun list --quiet 2>/dev/null';

function bashScript({ options, commands }: CompletionTable): string {
  const names = Object.keys(commands);
  const cases = Object.entries(commands).map(([name, command]) => {
    const ids = command.takesId ? ` ids=$(${listIds})` : '';
    return `    ${name}) words='${spellings(command.options).join(' ')}' values='${valuePattern(command.options)}'${ids} ;;`;
  });
  return `_tsrun() {
  local word=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
  local command= words values ids= index
  local global='${valuePattern(options)}'
  for ((index = 1; index < COMP_CWORD; index++)); do
    case \${COMP_WORDS[index]} in
      -*) [[ " $global " == *" \${COMP_WORDS[index]} "* ]] && ((index++)) ;;
      *) command=\${COMP_WORDS[index]}; break ;;
    esac
  done
  case $command in
    '') words='${[...names, ...spellings(options)].join(' ')}' values=$global ;;
${cases.join('\n')}
    *) words= values= ;;
  esac
  COMPREPLY=()
  [[ " $values " == *" $previous "* ]] && return
  [[ $word == -* ]] || [[ -z $command ]] || words=$ids
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _tsrun tsrun
`;
}

function fishScript({ options, commands }: CompletionTable): string {
  const lines = ['complete -c tsrun -f'];
  lines.push(...fishOptions(options, '__fish_use_subcommand'));
  for (const [name, { description, options: own, takesId }] of Object.entries(commands)) {
    const isChosen = `__fish_seen_subcommand_from ${name}`;
    lines.push(`complete -c tsrun -n __fish_use_subcommand -a ${name} -d ${quote(description)}`);
    if (takesId) lines.push(`complete -c tsrun -n ${quote(isChosen)} -a ${quote(`(${listIds})`)}`);
    lines.push(...fishOptions(own, isChosen));
  }
  return `${lines.join('\n')}\n`;
}

function fishOptions(options: OptionTable, condition: string): string[] {
  return Object.entries(options).map(([name, { short, type, description }]) => {
    const letter = short === undefined ? '' : ` -s ${short}`;
    // A value may be a file.
    const value = type === 'boolean' ? '' : ' -r -F';
    return `complete -c tsrun -n ${quote(condition)} -l ${name}${letter}${value} -d ${quote(description)}`;
  });
}

function spellings(options: OptionTable): string[] {
  return Object.entries(options).flatMap(([name, { short }]) => [
    `--${name}`,
    ...(short === undefined ? [] : [`-${short}`]),
  ]);
}

// The options that take the next word, between spaces.
function valuePattern(options: OptionTable): string {
  const withValue = Object.entries(options).filter(([, { type }]) => type !== 'boolean');
  return spellings(Object.fromEntries(withValue)).join(' ');
}

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
