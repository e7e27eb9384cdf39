// A running MTA of the rig, whichever it is: its port, its log, and the mail it delivered to the sink behind it.
// startPostfix and startSendmail make one; tests that hold for both MTAs take an Mta.

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { onCleanup } from './cleanup.ts'
import { rig } from './rig.ts'
import { PATIENCE, until } from './wait.ts'

/** One message as it came out behind the MTA. */
export interface Delivery {
  /** The exact bytes, with the MTA's own trace headers. */
  raw: Buffer
  /** Without angle brackets; '' is the null sender. */
  sender: string
  recipients: string[]
  /** ESMTP parameters of MAIL, and of each recipient in the order of `recipients`. */
  senderArgs: string
  recipientArgs: string[]
}

export interface Mta {
  kind: 'postfix' | 'sendmail'
  port: number
  /** The folder of this instance: etc/, queue/, mail/, maillog. */
  dir: string
  log(): Promise<string>
  /** The first match in the log; the MTAs write it a moment after the fact. */
  waitForLog(pattern: RegExp, seconds?: number): Promise<RegExpExecArray>
  /** All messages so far, in order of arrival. */
  deliveries(): Promise<Delivery[]>
  /** At least n messages. */
  waitForDeliveries(n: number, seconds?: number): Promise<Delivery[]>
  /** Ends every process of the instance; runs by itself at the end of the test file. */
  stop(): Promise<void>
}

/** The Mta for an instance that was started in dir; `down` is the rig script that ends it. */
export function runningMta(kind: Mta['kind'], dir: string, port: number): Mta {
  const log = (): Promise<string> => readFile(join(dir, 'maillog'), 'latin1')
  const deliveries = async (): Promise<Delivery[]> => {
    const complete = (await readdir(join(dir, 'mail'))).filter(name => name.endsWith('.json')).sort()
    return Promise.all(complete.map(name => delivery(join(dir, 'mail', name))))
  }
  return {
    kind,
    port,
    dir,
    log,
    deliveries,
    waitForLog: (pattern, seconds = PATIENCE) =>
      until(`${kind} logs ${pattern}`, async () => pattern.exec(await log()) ?? undefined, seconds),
    waitForDeliveries: async (n, seconds = PATIENCE) => {
      let so = 0
      return until(
        () => `${n} deliveries by ${kind} (${so} came)`,
        async () => {
          const all = await deliveries()
          so = all.length
          return so >= n && all
        },
        seconds,
      )
    },
    stop: onCleanup(async () => {
      await rig(`${kind}-down`, dir)
    }),
  }
}

interface Envelope {
  mailfrom: string
  rcpts: string[]
}

async function delivery(json: string): Promise<Delivery> {
  const envelope = JSON.parse(await readFile(json, 'utf8')) as Envelope
  const [sender, senderArgs] = path(envelope.mailfrom)
  const rcpts = envelope.rcpts.map(path)
  return {
    raw: await readFile(json.replace(/json$/, 'eml')),
    sender,
    senderArgs,
    recipients: rcpts.map(([address]) => address),
    recipientArgs: rcpts.map(([, args]) => args),
  }
}

function path(argument: string): [address: string, args: string] {
  const match = /^<(.*?)>(?: (.*))?$/.exec(argument)
  return match ? [match[1] ?? '', match[2] ?? ''] : [argument, '']
}
