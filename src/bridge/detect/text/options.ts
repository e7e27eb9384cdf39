/**
 * Options of a command line as getopt(3) reads them: `-p socket`, `-psocket`, `-f -p socket`, `--socket=x`.
 *
 * Which letters take a value is the product's to say. What stands after `--` is for another program and is handed back apart.
 */
import type { Setting, Source } from '../fact.ts'

export interface Argument {
  readonly value: string
  readonly source: Source
}

export interface CommandOptions {
  /** By letter or long name; the last one counts. A letter without value is there with an empty one. */
  readonly options: ReadonlyMap<string, Setting>
  readonly operands: readonly Argument[]
  /** Behind `--`. */
  readonly rest: readonly Argument[]
}

/** `letters`: those that take a value, `'pPu'`. */
export function readOptions(argv: readonly Argument[], letters: string): CommandOptions {
  const options = new Map<string, Setting>()
  const operands: Argument[] = []
  for (let at = 0; at < argv.length; at++) {
    const { value, source } = argv[at]!
    if (value === '--') return { options, operands, rest: argv.slice(at + 1) }
    const long = /^--([\w-]+)(?:=(.*))?$/s.exec(value)
    if (long !== null) options.set(long[1]!, { value: long[2] ?? '', source })
    else if (!value.startsWith('-') || value === '-') operands.push(argv[at]!)
    else {
      for (let letter = 1; letter < value.length; letter++) {
        const name = value[letter]!
        if (!letters.includes(name)) {
          options.set(name, { value: '', source })
          continue
        }
        const next = argv[at + 1]
        const attached = value.slice(letter + 1)
        if (attached !== '') options.set(name, { value: attached, source })
        else if (next !== undefined) {
          options.set(name, { value: next.value, source: next.source })
          at++
        }
        break
      }
    }
  }
  return { options, operands, rest: [] }
}
