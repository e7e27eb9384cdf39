/**
 * milter-plugin-spf: checks who may send for the domains of HELO and MAIL FROM (RFC 7208), and refuses by result.
 *
 * Evaluated at MAIL, so that filters after it have the result for every recipient; refused at RCPT, so that the choice is each
 * recipient's, or after the header where DMARC may have another word (`deferToDmarc`). Local and logged-in clients are not
 * looked at.
 */
import { type Dns, definePlugin, type MailEvent, type Plugin, tempfail, type Verdict } from 'milterhost/plugin'
import { allowedBy, refusedIdentity } from './decision.ts'
import { authorDomain, publishesDmarc } from './dmarc.ts'
import { loadEngine } from './engine.ts'
import { type Claimed, checkIdentities } from './identities.ts'
import { optionsSchema, type Settings, type SpfOptions } from './options.ts'
import { receivedSpf } from './received-spf.ts'
import { type CheckedIdentity, type SpfResult, spfKey } from './result.ts'
import { refusal } from './text.ts'

export type { Result } from './engine.ts'
export type { Refused, SpfOptions } from './options.ts'
export type { CheckedIdentity, SpfResult } from './result.ts'

interface Connection {
  helo: string
}

interface Message {
  dns: Dns | null
  claimed: Claimed | null
  found: SpfResult | null
  /** What every recipient is told. */
  refusal: Verdict | null
  /** What is told after the header unless DMARC is to decide. */
  deferred: Verdict | null
}

/** What MTAs other than Postfix wait for an answer is 10 s (Sendmail). Milliseconds. RFC 7208 §4.6.4 asks for 20 s at least. */
const TIME_POSTFIX = 20_000
const TIME_OTHER = 6_000

const spf: Plugin<SpfOptions> = definePlugin({
  name: 'spf',
  version: '0.1.0',
  options: optionsSchema,
  authResults: true,
  connection: (): Connection => ({ helo: '' }),
  message: (): Message => ({ dns: null, claimed: null, found: null, refusal: null, deferred: null }),
  async setup(host, settings) {
    const results = host.counter('results_total', 'Identities checked, by result')
    const refusals = host.counter('refused_total', 'Messages refused, by result')
    const differences = host.counter('differences_total', 'Evaluations in which spf-check differed from mailauth')
    if (settings.engine === 'spf-check') {
      host.log.warn(
        {},
        'the engine spf-check is wrong about many records; its README lists them. Use mailauth to refuse mail',
      )
    }
    const engine = await loadEngine(settings.engine, ({ ip, helo, sender }, mailauth, other) => {
      differences.add()
      host.log.info({ ip, helo, sender, mailauth, 'spf-check': other }, 'the SPF engines differ')
    })

    const check = async (event: MailEvent<Connection, Message>, claimed: Claimed): Promise<SpfResult> => {
      const { message } = event
      message.dns = host.dns.forMessage()
      message.claimed = claimed
      const time = settings.timeout ?? ((event.macro('v') ?? '').startsWith('Postfix') ? TIME_POSTFIX : TIME_OTHER)
      const until = host.clock.now() + time
      const around = {
        dns: message.dns,
        signal: event.signal,
        // White lists are asked after the identities, in what is left: the MTA waits for all of it.
        get time() {
          return Math.max(1, until - host.clock.now())
        },
      }
      const found = await checkIdentities(engine, claimed, settings.helo !== 'off', around)
      message.found = found
      for (const { identity, result } of identitiesOf(found)) results.add(1, { identity, result })
      const refused = refusedIdentity(found, settings)
      if (refused === null) return found
      const by = await allowedBy(event.client, claimed, settings, engine, around)
      const { identity, domain, result, reason } = refused
      const why = { identity, domain, result, reason, ip: found.ip }
      if (by !== null) {
        event.log.info({ ...why, allowed: by }, 'SPF would refuse it, a white list allows it')
        return found
      }
      const verdict = refusal(refused, found.ip, settings)
      const defers = settings.deferToDmarc && refused === found && result !== 'temperror'
      if (defers) message.deferred = verdict
      else message.refusal = verdict
      event.log.info(why, defers ? 'SPF refuses it unless DMARC decides' : 'SPF refuses it')
      if (!defers) refusals.add(1, { result })
      return found
    }

    return {
      helo(event) {
        event.connection.helo = event.name
      },
      async mail(event) {
        if (isSkipped(event, settings)) return
        const { address, domain, isNull } = event.sender
        const found = await check(event, {
          ip: event.client.address,
          helo: event.connection.helo,
          sender: isNull ? '' : address,
          senderDomain: domain,
          receiver: event.macro('j') ?? 'unknown',
        })
        event.publish(spfKey, found)
        for (const { identity, domain: shown, result } of identitiesOf(found)) {
          const property = identity === 'helo' ? 'smtp.helo' : 'smtp.mailfrom'
          event.authResult({ method: 'spf', result, properties: { [property]: shown === '' ? undefined : shown } })
        }
      },
      rcpt: event => event.message.refusal ?? undefined,
      ...(settings.deferToDmarc && {
        async headers(event) {
          const { deferred, dns, found } = event.message
          if (deferred === null || dns === null || found === null) return
          const domain = authorDomain(event.headerAll('From'))
          const published = domain !== null && (await publishesDmarc(domain, dns, event.signal))
          if (published === 'unknown') return tempfail(`The DMARC policy of ${domain} cannot be looked up now`)
          event.log.info({ author: domain, published }, published ? 'left to DMARC' : 'no DMARC policy: SPF refuses it')
          if (published) return
          refusals.add(1, { result: found.result })
          return deferred
        },
      }),
      ...(settings.receivedSpf && {
        end(event) {
          const { claimed, found } = event.message
          if (claimed === null || found === null) return
          for (const one of identitiesOf(found)) event.edit.prependHeader('Received-SPF', receivedSpf(one, claimed))
        },
      }),
    }
  },
})

/** HELO first, as it was claimed first; once for the null sender. */
const identitiesOf = (found: SpfResult): readonly CheckedIdentity[] =>
  found.helo === null || found.identity === 'helo' ? [found] : [found.helo, found]

function isSkipped({ client, auth }: MailEvent<Connection, Message>, { skip }: Settings): boolean {
  // A path, or nothing: mail that was not received over the network.
  if (!/^[\d.]+$|:/.test(client.address) || client.address.startsWith('/')) return true
  return (skip.authenticated && auth !== null) || skip.networks.has(client.address)
}

export default spf
