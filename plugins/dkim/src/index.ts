/**
 * `milter-plugin-dkim`: DKIM, DMARC and ARC in one filter.
 *
 * Mail from outside is verified, mail of our own users is signed; which is which is decided for each message by how its
 * client came (`mode`). All is done at the end of the message, in one reading of the body, however large it is.
 */
/// <reference path="./mailauth.d.ts" />
import { type Answer, definePlugin, type EndEvent, type Plugin, quarantine, reject, tempfail } from 'milterhost/plugin'
import { sealFields } from './arc/seal.ts'
import { type ArcVerdict, arcResult } from './arc/validate.ts'
import { disposition } from './dmarc/decide.ts'
import type { DmarcResult } from './dmarc/evaluate.ts'
import { fieldsOf } from './fields.ts'
import { networkList } from './networks.ts'
import { type DkimOptions, type DkimSettings, optionsSchema } from './options.ts'
import { reportRow } from './reports/record.ts'
import { ReportStore } from './reports/store.ts'
import { resolverFor } from './resolver.ts'
import { dkimKey, dmarcKey, spfKey } from './results.ts'
import { KeyChooser } from './sign/choose.ts'
import { FileReader } from './sign/files.ts'
import { parsePrivateKey } from './sign/keys.ts'
import { MessageSigner } from './sign/signer.ts'
import { authorsIn, check, type Findings } from './verify/check.ts'

export type { DmarcResult, SpfResult } from './dmarc/evaluate.ts'
export type { DkimOptions } from './options.ts'
export { dkimKey, dmarcKey } from './results.ts'
export type { DkimResult, Signature } from './verify/dkim.ts'

const dkim: Plugin<DkimOptions> = definePlugin({
  name: 'dkim',
  version: '0.1.0',
  options: optionsSchema,
  authResults: true,
  setup(host, settings) {
    const around = { log: host.log, now: () => host.clock.now() }
    const isLocal = networkList(settings.localNetworks)
    const keys = new KeyChooser(settings.sign, around)
    const sealKey = new FileReader({ ...around, secret: true }, parsePrivateKey)
    const { seal } = settings.arc
    if (seal !== undefined) sealKey.get(seal.file)
    const problem = (fields: object, message: string): void => host.log.warn(fields, message)
    // What is only tried out is no mail that anybody is told of.
    const { reports } = host.rehearsal ? {} : settings
    const store = reports === undefined ? null : new ReportStore(reports.store, { now: around.now, problem })
    host.onClose(() => store?.close())
    const verified = host.counter('verified_total', 'Messages by the result of their DKIM signatures')
    const dmarcs = host.counter('dmarc_total', 'Messages by their DMARC result and what was done')
    const signed = host.counter('signatures_total', 'Signatures made')

    async function verify(event: EndEvent): Promise<Answer> {
      const fields = fieldsOf(event.headers)
      const now = host.clock.now()
      const patience = AbortSignal.timeout(settings.verify.dnsTime)
      const findings = await check({
        fields,
        settings,
        resolver: resolverFor(host.dns, AbortSignal.any([event.signal, patience])),
        spf: event.result(spfKey),
        nullSender: event.sender.address === '',
        now,
        body: () => event.body({ reuse: true }),
      })
      event.signal.throwIfAborted()
      tell(event, findings)
      const answer = act(event, findings)
      if (seal !== undefined && event.authservId !== null) {
        const key = { ...sealKey.get(seal.file), ...seal }
        const { verifier, arc } = findings
        const results = event.authResults()
        const set = await sealFields({ fields, verifier, arc, key, authservId: event.authservId, results, now })
        for (const { name, value } of set.toReversed()) event.edit.prependHeader(name, value)
      }
      return answer
    }

    function tell(event: EndEvent, { dkim: found, dkimWritten, arc, dmarc }: Findings): void {
      event.publish(dkimKey, found)
      verified.add(1, { result: found.result })
      for (const result of dkimWritten) event.authResult(result)
      if (arc.result !== 'none') event.authResult(arcResult(arc, event.client.address))
      if (dmarc !== null) {
        event.publish(dmarcKey, dmarc)
        event.authResult({
          method: 'dmarc',
          result: dmarc.result,
          reason: dmarc.reason ?? undefined,
          properties: { 'header.from': dmarc.domain ?? undefined, 'policy.dmarc': dmarc.policy ?? undefined },
        })
      }
    }

    /** Mail goes on whatever becomes of the report. */
    function record(event: EndEvent, row: ReturnType<typeof reportRow>): void {
      try {
        if (row !== null) store?.add(row, host.clock.now())
      } catch (error) {
        event.log.error({ error: String(error) }, 'a row for the DMARC reports could not be kept')
      }
    }

    function act(event: EndEvent, { dmarc, dkim: found, arc }: Findings): Answer {
      if (dmarc === null || settings.dmarc === false) return undefined
      const decided = disposition(dmarc, settings.dmarc, arc.trusted)
      const { action, wanted, override } = decided
      const { address } = event.client
      const spf = event.result(spfKey)
      record(
        event,
        reportRow({ dmarc, dkim: found, spf, disposition: decided, address, senderDomain: event.sender.domain }),
      )
      dmarcs.add(1, { result: dmarc.result, action })
      const facts = { domain: dmarc.domain, result: dmarc.result, wanted, override }
      if (action !== 'none') event.log.info({ ...facts, action }, 'DMARC')
      else if (settings.dmarc.policy === 'report-only' && wanted !== 'none')
        event.log.info(facts, `DMARC would ${wanted} this message`)
      return answerFor(action, dmarc)
    }

    async function sign(event: EndEvent): Promise<void> {
      const fields = fieldsOf(event.headers)
      const authors = authorsIn(fields)
      if (authors.kind === 'invalid')
        return event.log.info({ reason: authors.reason }, 'not signed: nobody can say who the author is')
      const [author] = authors.authors
      const chosen = keys.choose({ author: author!, user: event.auth?.user ?? null, address: event.client.address })
      if (chosen.length === 0)
        return event.log.debug({ domain: authors.domain }, 'not signed: no key is meant for this author')
      const signer = new MessageSigner(fields, settings.sign)
      for await (const chunk of event.body({ reuse: true })) signer.update(chunk)
      for (const value of signer.finish(chosen, host.clock.now()).toReversed())
        event.edit.prependHeader('DKIM-Signature', value)
      signed.add(chosen.length)
    }

    return {
      end(event) {
        const ours = (settings.authenticated === 'local' && event.auth !== null) || isLocal(event.client.address)
        if (settings.mode === 'verify' || (settings.mode === 'both' && !ours)) return verify(event)
        if (ours) return sign(event)
        return undefined
      },
    }
  },
})

function answerFor(action: ReturnType<typeof disposition>['action'], { domain, result }: DmarcResult): Answer {
  const who = domain ?? 'this author'
  switch (action) {
    case 'none':
      return undefined
    case 'quarantine':
      return quarantine(`DMARC: ${result} for ${who}`)
    case 'tempfail':
      return tempfail(`The DMARC policy of ${who} cannot be looked up now`, { enhanced: '4.7.1' })
    case 'reject':
      return result === 'permerror'
        ? reject('This message has no single author in its From field', { enhanced: '5.7.1' })
        : reject(`Refused by the DMARC policy of ${who}`, { enhanced: '5.7.1' })
  }
}

export default dkim
export type { ArcVerdict, DkimSettings }
