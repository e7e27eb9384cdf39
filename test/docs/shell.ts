/** Commands out of text that is meant for a shell: enough of its syntax for what documentation writes. */

/** The commands of a line, each as its words. Comments go, quotes are read, and what follows `|` or `&&` is a command of its own. */
export function commandsOf(line: string): string[][] {
  const commands: string[][] = [[]]
  const pattern = /\s*(?:(#.*$)|(\|\||&&|\||;)|((?:'[^']*'|"[^"]*"|[^\s'"|;&])+))/gy
  for (const [, comment, joint, word] of line.trim().matchAll(pattern)) {
    if (comment !== undefined) break
    if (joint !== undefined) commands.push([])
    else commands.at(-1)!.push(word!.replaceAll(/'([^']*)'|"([^"]*)"/g, (_, single, double) => single ?? double))
  }
  return commands.filter(words => words.length > 0)
}
