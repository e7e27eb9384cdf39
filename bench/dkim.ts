/*
 * npm run bench -- --dkim: what DKIM costs for a message, in processor milliseconds of the host and of the milter together: the
 * plugin, and OpenDKIM and dkimpy as milters at a socket of the same host. One connection, one message after the other, so
 * that nothing but the work is counted. Needs root, opendkim, dkimpy-milter and python3-dnspython.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parsePrivateKey, publicRecord } from '../plugins/dkim/src/sign/keys.ts'
import { MessageSigner } from '../plugins/dkim/src/sign/signer.ts'
import { mtaClient } from '../test/interop/harness/mtaClient.ts'
import { cpuSeconds, type Running, scratchFolder, start, untilListening } from './process.ts'
import { command } from './subject.ts'
import { BenchError } from './tools.ts'

const RIG = resolve(import.meta.dirname, '../test/interop/rig')
const DOMAIN = 'example.com'
const SIZES = { '10 KB': 10_000, '1 MB': 1_000_000, '10 MB': 10_000_000 } as const
type Size = keyof typeof SIZES
const MESSAGES: Readonly<Record<Size, number>> = { '10 KB': 300, '1 MB': 50, '10 MB': 2 }

interface Work {
  readonly name: string
  readonly signed: boolean
  /** The `filters` of the configuration, with `SOCKET` for the milter's. */
  readonly filters: string
  readonly milter?: 'opendkim-sign' | 'opendkim-verify' | 'dkimpy-sign' | 'dkimpy-verify'
}

const WORKS: readonly Work[] = [
  { name: 'verify, plugin', signed: true, filters: "dkim({ mode: 'verify', dmarc: false })" },
  { name: 'verify, OpenDKIM', signed: true, filters: 'SOCKET', milter: 'opendkim-verify' },
  { name: 'verify, dkimpy-milter', signed: true, filters: 'SOCKET', milter: 'dkimpy-verify' },
  { name: 'verify + SPF + DMARC, plugins', signed: true, filters: "spf(), dkim({ mode: 'verify' })" },
  { name: 'sign, plugin', signed: false, filters: 'SIGN' },
  { name: 'sign, OpenDKIM', signed: false, filters: 'SOCKET', milter: 'opendkim-sign' },
  { name: 'sign, dkimpy-milter', signed: false, filters: 'SOCKET', milter: 'dkimpy-sign' },
]

interface Figure {
  readonly work: string
  readonly size: Size
  /** Milliseconds a message. */
  readonly host: number
  readonly milter: number
}

/** Whether every goal is met. */
export async function runDkim(json: boolean, quick: boolean): Promise<boolean> {
  for (const path of ['/usr/sbin/opendkim', '/usr/bin/dkimpy-milter', '/usr/lib/python3/dist-packages/dns/__init__.py'])
    if (!existsSync(path))
      throw new BenchError(`${path} is missing: apt-get install opendkim dkimpy-milter python3-dnspython`)
  const folder = scratchFolder('/tmp/bench-dkim-')
  chmodSync(folder, 0o755)
  const key = join(folder, 'key.pem')
  copyFileSync(join(RIG, 'keys/rig.private'), key)
  chmodSync(key, 0o600)
  const record = publicRecord(parsePrivateKey(readFileSync(key, 'latin1')))
  writeZone(join(folder, 'zone.txt'), record)
  const address = `127.99.${process.pid % 250}.53`
  const dns = start(
    'dns',
    '/usr/bin/python3',
    [join(RIG, 'lib/dnsd.py'), address, '53', join(folder, 'zone.txt')],
    join(folder, 'dns.log'),
  )
  const figures: Figure[] = []
  const messages = new Map(Object.entries(SIZES).map(([size, bytes]) => [size as Size, letter(bytes, key)]))
  for (const work of WORKS) {
    const milterPath = join(folder, 'milter.sock')
    const milter =
      work.milter === undefined
        ? null
        : await startMilter(work.milter, { folder, key, record, address, path: milterPath })
    const path = join(folder, 'host.sock')
    const config = writeConfig(folder, work, { key, path, milterPath })
    const host = start(
      'host',
      join(RIG, 'bin/with-resolv'),
      [address, process.execPath, command, 'run', '--config', config],
      join(folder, 'host.log'),
    )
    await untilListening(host, path)
    for (const [size, { plain, signed }] of messages) {
      if (quick && size === '10 MB') continue
      const count = quick ? Math.ceil(MESSAGES[size] / 4) : MESSAGES[size]
      const raw = work.signed ? signed : plain
      await send(path, raw, Math.ceil(count / 2), work)
      const before = [cpuSeconds(host.pid), milter === null ? 0 : cpuSeconds(milter.pid)] as const
      await send(path, raw, count, work)
      const spent = [
        cpuSeconds(host.pid) - before[0],
        milter === null ? 0 : cpuSeconds(milter.pid) - before[1],
      ] as const
      const figure = { work: work.name, size, host: (spent[0] * 1000) / count, milter: (spent[1] * 1000) / count }
      figures.push(figure)
      if (!json) console.log(line(figure))
    }
    await host.stop()
    await milter?.stop()
  }
  await dns.stop()
  const goals = goalsOf(figures)
  if (json) console.log(JSON.stringify({ figures, goals }, null, 2))
  else for (const { goal, met, figure } of goals) console.log(`${met ? 'met   ' : 'MISSED'} ${goal}: ${figure}`)
  return goals.every(({ met }) => met)
}

const line = ({ work, size, host, milter }: Figure): string =>
  `${work.padEnd(30)} ${size.padEnd(6)} ${(host + milter).toFixed(2).padStart(9)} ms CPU  (host ${host.toFixed(2)}, milter ${milter.toFixed(2)})`

function goalsOf(figures: readonly Figure[]): { goal: string; met: boolean; figure: string }[] {
  const total = (work: string, size: Size): number => {
    const found = figures.find(figure => figure.work === work && figure.size === size)
    return found === undefined ? Number.NaN : found.host + found.milter
  }
  const verify = total('verify, plugin', '10 KB')
  const others = [total('verify, OpenDKIM', '10 KB'), total('verify, dkimpy-milter', '10 KB')]
  const signing = total('sign, dkimpy-milter', '10 KB') / total('sign, plugin', '10 KB')
  const rate = 1000 / total('verify, plugin', '1 MB')
  return [
    {
      goal: 'verification at 10 KB costs less than OpenDKIM and dkimpy-milter at a socket',
      met: others.every(other => verify < other),
      figure: `${verify.toFixed(2)} against ${others.map(other => other.toFixed(2)).join(' and ')} ms`,
    },
    {
      goal: 'signing at 10 KB costs a third of dkimpy-milter',
      met: signing >= 3,
      figure: `${signing.toFixed(1)} times`,
    },
    { goal: 'at least 80 MB/s verified at 1 MB', met: rate >= 80, figure: `${rate.toFixed(0)} MB/s` },
  ]
}

async function send(path: string, raw: Buffer, count: number, { name }: Work): Promise<void> {
  const client = await mtaClient(`unix:${path}`, { timeout: 120 })
  await client.negotiate()
  await client.connect('client.example', '192.0.2.1')
  const wanted = name.startsWith('sign')
    ? ['DKIM-Signature']
    : name.includes('SPF')
      ? ['dkim=pass', 'spf=pass', 'dmarc=pass']
      : ['dkim=pass']
  for (let i = 0; i < count; i++) {
    const { verdict, edits } = await client.message({ from: '<ann@example.com>', to: ['<bob@example.net>'], raw })
    const text = edits.map(({ data }) => data.toString('latin1')).join('\n')
    const worked = wanted.every(word => text.includes(word))
    if (!'ac'.includes(verdict.command) || !worked)
      throw new BenchError(`${name}: the message was not treated: ${verdict.command} ${text}`)
  }
  await client.quit()
}

function writeZone(path: string, record: string): void {
  const pieces = (text: string): string => (text.match(/.{1,200}/g) ?? []).map(piece => JSON.stringify(piece)).join(' ')
  writeFileSync(
    path,
    [
      `rig._domainkey.${DOMAIN}. 3600 TXT ${pieces(record)}`,
      `${DOMAIN}. 3600 TXT "v=spf1 ip4:127.0.0.0/8 ip4:192.0.2.0/24 -all"`,
      `_dmarc.${DOMAIN}. 3600 TXT "v=DMARC1; p=reject"`,
      '',
    ].join('\n'),
  )
}

function writeConfig(
  folder: string,
  work: Work,
  { key, path, milterPath }: { key: string; path: string; milterPath: string },
): string {
  const plugins = resolve(import.meta.dirname, '../plugins')
  const signing = `dkim({ mode: 'sign', localNetworks: ['0.0.0.0/0', '::/0'], sign: { keys: [{ domain: '${DOMAIN}', selector: 'rig', file: '${key}' }] } })`
  const filters = work.filters.replace('SOCKET', `socket('milter', 'unix:${milterPath}')`).replace('SIGN', signing)
  const config = join(folder, 'milterhost.config.ts')
  writeFileSync(
    config,
    `import { defineConfig, socket } from 'milterhost'
import dkim from '${plugins}/dkim/src/index.ts'
import spf from '${plugins}/spf/src/index.ts'
export default defineConfig({ listen: 'unix:${path}', filters: [${filters}], log: { level: 'warn' }, spool: { directory: '${folder}/spool' } })
`,
  )
  return config
}

interface MilterPlace {
  readonly folder: string
  readonly key: string
  readonly record: string
  readonly address: string
  readonly path: string
}

async function startMilter(
  kind: NonNullable<Work['milter']>,
  { folder, key, record, address, path }: MilterPlace,
): Promise<Running> {
  const [program, mode] = kind.split('-') as ['opendkim' | 'dkimpy', 'sign' | 'verify']
  const config = join(folder, `${kind}.conf`)
  const common = [
    `Socket local:${path}`,
    'UMask 000',
    'UserID root',
    'Syslog no',
    `Mode ${mode[0]}`,
    'Canonicalization relaxed/relaxed',
    'AuthservID mx.bench.example',
    `PidFile ${folder}/${kind}.pid`,
  ]
  const keys = [`Domain ${DOMAIN}`, 'Selector rig', `KeyFile ${key}`]
  writeFileSync(join(folder, 'internal'), mode === 'sign' ? '0.0.0.0/0\n::/0\n' : '')
  writeFileSync(join(folder, 'dnsdata'), `rig._domainkey.${DOMAIN} ${record}\n`)
  const own =
    program === 'opendkim'
      ? [
          'Background no',
          'RequireSafeKeys no',
          'AlwaysAddARHeader yes',
          `InternalHosts ${folder}/internal`,
          ...(mode === 'verify' ? [`TestDNSData file:${folder}/dnsdata`] : []),
        ]
      : [mode === 'sign' ? 'InternalHosts 127.0.0.1, 192.0.2.1' : 'InternalHosts 203.0.113.1']
  writeFileSync(config, [...common, ...(mode === 'sign' || program === 'dkimpy' ? keys : []), ...own, ''].join('\n'))
  execFileSync('rm', ['-f', path])
  const args =
    program === 'opendkim'
      ? ['/usr/sbin/opendkim', '-f', '-x', config]
      : ['/usr/bin/python3', '/usr/bin/dkimpy-milter', config]
  const milter = start(kind, join(RIG, 'bin/with-resolv'), [address, ...args], join(folder, `${kind}.log`))
  await untilListening(milter, path)
  return milter
}

/** Text and base64 half and half, as mail is. */
function letter(bytes: number, key: string): { plain: Buffer; signed: Buffer } {
  const text = 'The quick brown fox jumps over the lazy dog, and again, and once more.\r\n'
  const base64 = `${Buffer.alloc(57, 0x5a).toString('base64')}\r\n`
  const body = Buffer.from(text.repeat(bytes / 2 / text.length) + base64.repeat(bytes / 2 / base64.length))
  const lines = [
    `From: Ann <ann@${DOMAIN}>`,
    'To: Bob <bob@example.net>',
    'Subject: a message for the bench',
    'Date: Tue, 24 Nov 2026 08:00:00 +0000',
    'Message-ID: <1@bench.example.com>',
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
  ]
  const fields = lines.map(text => ({
    key: text.slice(0, text.indexOf(':')).toLowerCase(),
    casedKey: text.slice(0, text.indexOf(':')),
    line: Buffer.from(text),
  }))
  const signer = new MessageSigner(fields, {
    canonicalization: 'relaxed/relaxed',
    headers: lines.map(text => text.slice(0, text.indexOf(':'))),
    oversign: ['From'],
  })
  signer.update(body)
  const [value] = signer.finish(
    [{ ...parsePrivateKey(readFileSync(key, 'latin1')), domain: DOMAIN, selector: 'rig' }],
    Date.now() - 60_000,
  )
  const head = `${lines.join('\r\n')}\r\n\r\n`
  return {
    plain: Buffer.concat([Buffer.from(head), body]),
    signed: Buffer.concat([Buffer.from(`DKIM-Signature:${value!.replaceAll('\n', '\r\n')}\r\n${head}`), body]),
  }
}
