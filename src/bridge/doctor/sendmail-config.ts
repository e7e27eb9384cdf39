/**
 * A Sendmail as it is configured: the options, daemons and filters of a `sendmail.cf`.
 *
 * The file is read as Sendmail reads it (a line that begins with white space continues the one before); m4 sources are not
 * looked at, since the `.cf` is what runs. Throws a coded error when there is none.
 */
import { readFile } from 'node:fs/promises'
import { hostError } from '../../host/errors.ts'

export interface SendmailFilter {
  readonly name: string
  /** `S`, `F`, `T`, as written. */
  readonly equates: ReadonlyMap<string, string>
  readonly where: string
}

export interface SendmailDaemon {
  readonly name: string
  readonly port: string
  readonly address: string
  /** Names of filters; `null` takes those of `InputMailFilters`. */
  readonly filters: readonly string[] | null
  readonly where: string
}

export interface SendmailConfig {
  readonly file: string
  /** As the configuration was made for; empty when it does not say. */
  readonly versionText: string
  readonly filters: readonly SendmailFilter[]
  /** In the order in which they are asked. */
  readonly used: readonly string[]
  readonly daemons: readonly SendmailDaemon[]
  /** Names of the fields that Sendmail adds when they are missing. */
  readonly templates: readonly string[]
  /** An option's value; empty when it is not set. */
  option(name: string): string
  where(option: string): string
}

export async function readSendmailConfig(file: string): Promise<SendmailConfig> {
  let text: string
  try {
    text = await readFile(file, 'latin1')
  } catch (error) {
    throw hostError('DOCTOR_SENDMAIL', file, (error as Error).message)
  }
  const lines = joined(text)
  const options = new Map<string, { value: string; line: number }>()
  const filters: SendmailFilter[] = []
  const daemons: SendmailDaemon[] = []
  const templates: string[] = []
  let versionText = ''
  for (const { text: line, number } of lines) {
    const [, option, value = ''] = /^O\s*([\w.]+)\s*=\s*(.*)$/.exec(line) ?? []
    if (option?.toLowerCase() === 'daemonportoptions') daemons.push(daemon(value, `${file}:${number}`))
    else if (option !== undefined) options.set(option.toLowerCase(), { value: value.trim(), line: number })
    const [, name, equates = ''] = /^X([^,\s]+)\s*,(.*)$/.exec(line) ?? []
    if (name !== undefined) filters.push({ name, equates: equatesOf(equates), where: `${file}:${number}` })
    versionText = /^DZ(\S+)/.exec(line)?.[1] ?? versionText
    const field = /^H(?:\?[^?]*\?)?([!-9;-~]+):/.exec(line)?.[1]
    if (field !== undefined) templates.push(field)
  }
  const found = (name: string): { value: string; line: number } | undefined => options.get(name.toLowerCase())
  return {
    file,
    versionText,
    filters,
    daemons,
    templates,
    used: names(found('InputMailFilters')?.value ?? ''),
    option: name => found(name)?.value ?? '',
    where: name => `${file}${found(name) === undefined ? '' : `:${found(name)?.line}`}`,
  }
}

/** Logical lines, each with the number of its first. */
function joined(text: string): { text: string; number: number }[] {
  const lines: { text: string; number: number }[] = []
  for (const [index, line] of text.split('\n').entries()) {
    const last = lines.at(-1)
    if (/^[ \t]/.test(line) && last !== undefined) last.text += line
    else lines.push({ text: line, number: index + 1 })
  }
  return lines
}

/** `S=unix:/run/a, F=T, T=C:5m;S:10s`: keys by their first letter, as Sendmail takes them. */
function equatesOf(text: string): Map<string, string> {
  return new Map(
    text.split(',').flatMap((part): [string, string][] => {
      const [, key, value = ''] = /^\s*(\w+)\s*=\s*(.*?)\s*$/.exec(part) ?? []
      return key === undefined ? [] : [[key[0]!.toUpperCase(), value]]
    }),
  )
}

function daemon(text: string, where: string): SendmailDaemon {
  const equates = equatesOf(text)
  const filters = equates.get('I')
  return {
    name: equates.get('N') ?? '',
    port: equates.get('P') ?? 'smtp',
    address: equates.get('A') ?? '',
    filters: filters === undefined ? null : names(filters.replaceAll(';', ',')),
    where,
  }
}

const names = (text: string): string[] => text.split(/[\s,]+/).filter(name => name !== '')
