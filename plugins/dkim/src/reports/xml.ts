/**
 * An aggregate report as RFC 9990 has it, from the rows of one policy domain.
 *
 * Values come from mail: they are escaped, and characters that XML does not allow are left out.
 */
import type { CountedRow } from './store.ts'

export interface ReportHead {
  /** Who reports. */
  readonly organization: string
  readonly email: string
  readonly id: string
  /** Seconds since 1970, both included. */
  readonly begin: number
  readonly end: number
}

/** `rows` are of one domain, at least one. */
export function reportXml(head: ReportHead, rows: readonly CountedRow[]): string {
  const { published } = rows[0]!
  const { domain, p, sp, np, adkim, aspf, testing } = published
  const metadata = element('report_metadata', [
    text('org_name', head.organization),
    text('email', head.email),
    text('report_id', head.id),
    element('date_range', [text('begin', head.begin), text('end', head.end)]),
    text('generator', 'milter-plugin-dkim'),
  ])
  const policy = element('policy_published', [
    text('domain', domain),
    text('p', p),
    text('sp', sp ?? p),
    text('np', np ?? sp ?? p),
    text('adkim', adkim),
    text('aspf', aspf),
    text('discovery_method', 'treewalk'),
    text('testing', testing ? 'y' : 'n'),
  ])
  const body = [text('version', '1.0'), metadata, policy, ...rows.map(record)].join('\n')
  return `<?xml version="1.0" encoding="UTF-8"?>\n<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0">\n${body}\n</feedback>\n`
}

function record(row: CountedRow): string {
  const { aligned, override, spf } = row
  return element('record', [
    element('row', [
      text('source_ip', row.address),
      text('count', row.count),
      element('policy_evaluated', [
        text('disposition', row.disposition),
        text('dkim', aligned.dkim ? 'pass' : 'fail'),
        text('spf', aligned.spf ? 'pass' : 'fail'),
        ...(override === null ? [] : [element('reason', [text('type', override)])]),
      ]),
    ]),
    element('identifiers', [text('envelope_from', row.envelopeFrom), text('header_from', row.headerFrom)]),
    element('auth_results', [
      ...row.dkim.map(({ domain, selector, result, reason }) =>
        element('dkim', [
          text('domain', domain ?? ''),
          text('selector', selector ?? ''),
          text('result', result),
          ...(reason === null ? [] : [text('human_result', reason)]),
        ]),
      ),
      ...(spf === null
        ? []
        : [element('spf', [text('domain', spf.domain), text('scope', spf.scope), text('result', spf.result)])]),
    ]),
  ])
}

const element = (name: string, children: readonly string[]): string =>
  `<${name}>\n${children.join('\n').replaceAll(/^/gm, '  ')}\n</${name}>`

const text = (name: string, value: string | number): string => `<${name}>${escaped(String(value))}</${name}>`

const escaped = (value: string): string =>
  value
    .toWellFormed()
    .replaceAll(/[^\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
