/**
 * The macros an MTA is asked for, by stage.
 *
 * All seven lists are always given and none is empty: an empty one means "no macros" to Sendmail and "the configured ones"
 * to Postfix, and Sendmail 8.17 ignores the list for the end of the message unless there is one for the end of the headers.
 * A list replaces what the MTA is configured to send, so the defaults of both MTAs are in it; what filters ask for comes
 * on top. Sendmail takes 50 names a stage.
 */
import { MACRO_STAGES, type MacroStage } from '../../host/macros.ts'
import { macroStage, type SymbolList, symbolText } from '../wire/index.ts'

const mostNames = 50

const defaults: Readonly<Record<MacroStage, string>> = {
  connect: 'j _ v daemon_name daemon_addr daemon_port if_name if_addr client_addr client_port client_name client_ptr',
  helo: 'tls_version cipher cipher_bits cert_subject cert_issuer',
  mail: 'i auth_type auth_authen auth_ssf auth_author mail_mailer mail_host mail_addr',
  rcpt: 'i rcpt_mailer rcpt_host rcpt_addr',
  data: 'i',
  eoh: 'i',
  eom: 'i msg_id',
}

const numbers: Readonly<Record<MacroStage, number>> = {
  connect: macroStage.CONNECT,
  helo: macroStage.HELO,
  mail: macroStage.MAIL,
  rcpt: macroStage.RCPT,
  data: macroStage.DATA,
  eoh: macroStage.EOH,
  eom: macroStage.EOM,
}

/** By stage, in ascending order of its number, as libmilter writes them. */
const order: readonly MacroStage[] = [...MACRO_STAGES].sort((a, b) => numbers[a] - numbers[b])

/** Most connections ask for no more than these, so that they are put into words once. */
const defaultTexts = new Map(order.map(stage => [stage, symbolText(defaults[stage].split(' '))]))

export function symbolLists(asked: ReadonlyMap<MacroStage, readonly string[]>): SymbolList[] {
  return order.map(stage => ({ stage: numbers[stage], names: textFor(stage, asked.get(stage)) }))
}

function textFor(stage: MacroStage, asked: readonly string[] = []): string {
  if (asked.length === 0) return defaultTexts.get(stage)!
  return symbolText([...new Set([...defaults[stage].split(' '), ...asked])].slice(0, mostNames))
}
