// milterhost on a machine where it was installed as its guide says: the guide's commands, mail, and what the journal has of it.

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Machine, until } from '../harness/index.ts'

const DOCS = resolve(import.meta.dirname, '../../../docs')

/** The blocks of commands below a heading of a page, as they stand there. */
export function blocks(page: string, heading: string): string[] {
  const text = readFileSync(`${DOCS}/${page}`, 'utf8')
  const section = new RegExp(`^##+ ${heading}\\n([\\s\\S]*?)(?=^##+ |(?![\\s\\S]))`, 'm').exec(text)?.[1]
  if (section === undefined) throw new Error(`${page} has no heading ${heading}`)
  const found = [...section.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(match => match[1]!)
  if (found.length === 0) throw new Error(`${page}: no commands below ${heading}`)
  return found
}

/** A line of the journal. */
export interface Line {
  readonly text: string
  /** As syslog counts: 3 error, 4 warning, 6 info. */
  readonly priority: number
}

export class Installed {
  readonly #machine: Machine

  constructor(machine: Machine) {
    this.#machine = machine
  }

  /** What a unit has said so far, oldest first. */
  async journal(unit = 'milterhost'): Promise<Line[]> {
    const fields = '--output-fields=MESSAGE,PRIORITY'
    const text = await this.#machine.run('journalctl', '--unit', unit, '--no-pager', '--output=json', fields)
    return text
      .split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line) as { MESSAGE: string; PRIORITY: string })
      .map(({ MESSAGE, PRIORITY }) => ({ text: MESSAGE, priority: Number(PRIORITY) }))
  }

  /** The newest line of the journal that fits, as soon as there is one. */
  said(pattern: RegExp, unit?: string): Promise<Line> {
    return until(`the journal has ${pattern}`, async () =>
      (await this.journal(unit)).findLast(({ text }) => pattern.test(text)),
    )
  }

  /** Sends a message as the guide does; what the MTA and swaks said to each other, whether it was taken or not. */
  async send(subject: string, ...options: string[]): Promise<string> {
    const header = ['--header', `Subject: ${subject}`]
    const words = ['--server', '127.0.0.1', '--to', 'you@example.com', ...header, ...options]
    // Its exit code tells of a refusal, which some of these messages are sent for.
    return this.#machine.run('bash', '-c', 'swaks "$@" || true', 'swaks', ...words)
  }

  /** The message of that subject, as it lies in the mailbox. */
  delivered(subject: string): Promise<string> {
    return until(`${subject} is delivered`, async () => {
      const mailbox = await this.#machine.run('bash', '-c', 'cat /var/mail/you 2>/dev/null || true')
      return mailbox.split(/^From /m).find(message => message.includes(`\nSubject: ${subject}\n`))
    })
  }

  /** `milterhost status --json`. */
  async status(): Promise<Status> {
    return JSON.parse(await this.#machine.run('milterhost', 'status', '--json')) as Status
  }

  /** What systemd knows of a unit. */
  async unit(unit: string, property: string): Promise<string> {
    return (await this.#machine.run('systemctl', 'show', '--value', `--property=${property}`, unit)).trim()
  }

  write(path: string, text: string): Promise<string> {
    return this.#machine.run('bash', '-c', 'mkdir -p "$(dirname "$1")"; printf %s "$2" > "$1"', 'write', path, text)
  }
}

interface Status {
  readonly pid: number
  readonly listen: readonly string[]
  readonly filters: readonly {
    readonly name: string
    readonly enabled: boolean
    readonly health?: { readonly state: string }
  }[]
}
