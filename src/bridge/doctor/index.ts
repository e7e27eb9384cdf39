/**
 * The doctor: every check over one site. `gatherSite` asks, `diagnose` only thinks.
 *
 * The table is the whole of what is looked for; `docs/doctor.md` has a row for each. Called by `milterhost doctor` and
 * `milterhost init`.
 */
import { chainChecks } from './checks/chain.ts'
import { configurationChecks } from './checks/configuration.ts'
import { postfixChecks } from './checks/postfix.ts'
import { sendmailChecks } from './checks/sendmail.ts'
import { socketChecks } from './checks/sockets.ts'
import type { Check, Diagnosis, Finding } from './finding.ts'
import type { Site } from './site.ts'

export type { Check, Diagnosis, Finding } from './finding.ts'
export { type Examined, gatherSite } from './gather.ts'
export { type Machine, thisMachine } from './machine.ts'
export { readPostfixConfig } from './postfix-config.ts'
export { readSendmailConfig } from './sendmail-config.ts'
export { type Starter, starterConfiguration } from './starter.ts'

export const CHECKS: readonly Check[] = [
  ...chainChecks,
  ...socketChecks,
  ...postfixChecks,
  ...sendmailChecks,
  ...configurationChecks,
]

export function diagnose(site: Site): Diagnosis {
  const looked = CHECKS.filter(({ applies }) => applies?.(site) ?? true)
  const findings = looked.flatMap(({ code, severity, find }) =>
    find(site).map((found): Finding => ({ code, severity, ...found })),
  )
  const said = new Set(findings.map(({ code }) => code))
  return {
    findings: [...findings.filter(isWrong), ...findings.filter(finding => !isWrong(finding))],
    well: looked.filter(({ code }) => !said.has(code)).map(({ code, title }) => ({ code, title })),
  }
}

const isWrong = ({ severity }: Finding): boolean => severity === 'wrong'
