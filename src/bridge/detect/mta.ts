/**
 * Milters that an MTA of this machine already names: `smtpd_milters` and `non_smtpd_milters` of Postfix, mail filters of Sendmail.
 *
 * They are what the postmaster runs now, whoever made them. Who of them is milterhost itself only the configuration knows
 * (`host/config/found.ts`), and which of them a product has found as well, `detect.ts`.
 */
import type { OnFailure } from '../../host/observe/event.ts'
import { milterAddress } from './address.ts'
import type { Fact, Settings, Source } from './fact.ts'
import { seconds, type Timeouts } from './product.ts'
import { expandMainCf, milterList, readMainCf } from './text/main-cf.ts'
import type { Tree } from './tree.ts'

export interface MtaMilter {
  readonly name: string
  readonly mta: 'Postfix' | 'Sendmail'
  readonly address: Fact<string>
  readonly timeouts: Timeouts
  readonly onFailure: OnFailure | null
}

export const mtaMilters = (tree: Tree): MtaMilter[] => [...postfix(tree), ...sendmail(tree)]

const POSTFIX = ['/etc/postfix', '/usr/local/etc/postfix', '/usr/pkg/etc/postfix']
const ACTIONS: Readonly<Record<string, OnFailure>> = {
  accept: 'accept',
  reject: 'reject',
  tempfail: 'tempfail',
  shutdown: 'tempfail',
  quarantine: 'quarantine',
}

function postfix(tree: Tree): MtaMilter[] {
  const folder = POSTFIX.find(path => tree.exists(`${path}/main.cf`))
  const main = folder === undefined ? null : tree.read(`${folder}/main.cf`)
  if (main === null) return []
  const settings = readMainCf(main)
  const queue = settings.get('queue_directory')?.value ?? '/var/spool/postfix'
  const master = tree.read(`${folder}/master.cf`)
  // In a chroot every path begins at the queue directory; a relative one does in any case.
  const chroot = /^smtp\s+inet\s+\S+\s+\S+\s+y\s/m.test(master?.text ?? '')
  const found: MtaMilter[] = []
  for (const { value, source } of milterSettings(settings, master)) {
    for (const { address, options } of milterList(expandMainCf(value, settings))) {
      const path = /^(?:unix|local):(.*)$/.exec(address)?.[1]
      const place = path === undefined ? milterAddress(address) : milterAddress(`unix:${absolute(path, queue, chroot)}`)
      if (place === null) {
        tree.warn(source.file, source.line, `the milter ${JSON.stringify(address)} has no address that can be read`)
        continue
      }
      const time = (key: string): Fact<number> | null => {
        const text = options.get(key)
        return text === undefined ? null : seconds({ value: text, source })
      }
      const action = options.get('default_action') ?? ''
      found.push({
        name: nameOf(place),
        mta: 'Postfix',
        address: { value: place, source },
        timeouts: compact(time('connect_timeout'), time('command_timeout'), time('content_timeout')),
        onFailure: ACTIONS[action] ?? null,
      })
    }
  }
  return found
}

const absolute = (path: string, queue: string, chroot: boolean): string =>
  path.startsWith('/') ? (chroot ? `${queue}${path}` : path) : `${queue}/${path}`

function* milterSettings(
  settings: Settings,
  master: { file: string; text: string } | null,
): Generator<{ value: string; source: Source }> {
  for (const key of ['smtpd_milters', 'non_smtpd_milters']) {
    const setting = settings.get(key)
    if (setting !== undefined) yield setting
  }
  for (const [index, line] of (master?.text.split('\n') ?? []).entries()) {
    const match = /^\s+-o\s+(?:\{\s*smtpd_milters\s*=\s*(.*)\}|smtpd_milters=(\S*))\s*$/.exec(line)
    if (match !== null) yield { value: match[1] ?? match[2] ?? '', source: { file: master!.file, line: index + 1 } }
  }
}

function compact(connect: Fact<number> | null, command: Fact<number> | null, end: Fact<number> | null): Timeouts {
  return { ...(connect && { connect }), ...(command && { command }), ...(end && { end }) }
}

/** `unix:/run/x/spam.sock` is `spam`, `inet:8891@localhost` is `milter-8891`. */
function nameOf(address: string): string {
  const port = /^inet6?:(\d+)@/.exec(address)?.[1]
  if (port !== undefined) return `milter-${port}`
  const name = address
    .slice(address.lastIndexOf('/') + 1)
    .replace(/\.\w+$/, '')
    .replace(/[^\w.-]+/g, '-')
  return /^[A-Za-z0-9]/.test(name) ? name.slice(0, 60) : `milter-${name}`.slice(0, 60)
}

const SENDMAIL = ['/etc/mail', '/etc']

function sendmail(tree: Tree): MtaMilter[] {
  for (const folder of SENDMAIL) {
    const cf = tree.exists(`${folder}/sendmail.cf`) ? tree.read(`${folder}/sendmail.cf`) : null
    if (cf !== null) return sendmailCf(tree, cf)
    const mc = tree.exists(`${folder}/sendmail.mc`) ? tree.read(`${folder}/sendmail.mc`) : null
    if (mc !== null) return sendmailMc(tree, mc)
  }
  return []
}

/** `Xname, S=…, F=…, T=…`, of which `O InputMailFilters` says which are used. */
function sendmailCf(tree: Tree, { file, text }: { file: string; text: string }): MtaMilter[] {
  const used = /^O InputMailFilters=(.*)$/m.exec(text)?.[1]?.split(/[\s,;]+/) ?? []
  return text.split('\n').flatMap((line, index) => {
    const match = /^X([^,]+),\s*(.*)$/.exec(line)
    if (match === null || !used.includes(match[1]!.trim())) return []
    return sendmailFilter(tree, match[1]!.trim(), match[2]!, { file, line: index + 1 })
  })
}

function sendmailMc(tree: Tree, { file, text }: { file: string; text: string }): MtaMilter[] {
  const found: MtaMilter[] = []
  for (const match of text.matchAll(/^[ \t]*(?:INPUT_)?MAIL_FILTER\(\s*`?([^',`]+)'?\s*,\s*`([^']*)'/gm)) {
    const line = text.slice(0, match.index).split('\n').length
    found.push(...sendmailFilter(tree, match[1]!.trim(), match[2]!, { file, line }))
  }
  return found
}

const FLAGS: Readonly<Record<string, OnFailure>> = { T: 'tempfail', R: 'reject', '4': 'tempfail' }

function sendmailFilter(tree: Tree, name: string, equates: string, source: Source): MtaMilter[] {
  const of = (key: string): string => new RegExp(`(?:^|[\\s,])${key}=([^,]*)`).exec(equates)?.[1]?.trim() ?? ''
  const address = milterAddress(of('S'))
  if (address === null) {
    tree.warn(source.file, source.line, `the mail filter ${name} has no address that can be read`)
    return []
  }
  const times = of('T')
  const time = (letter: string): Fact<number> | null => {
    const value = new RegExp(`(?:^|;)\\s*${letter}:(\\w+)`).exec(times)?.[1]
    return value === undefined ? null : seconds({ value, source })
  }
  const clean = name
    .replace(/[^\w.-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 60)
  return [
    {
      name: clean === '' ? nameOf(address) : clean,
      mta: 'Sendmail',
      address: { value: address, source },
      timeouts: compact(time('C'), time('R'), time('E')),
      onFailure: FLAGS[of('F')] ?? 'accept',
    },
  ]
}
