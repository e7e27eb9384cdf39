/**
 * `milterhost doctor`: what is wrong, or could be better, between the MTA, its sockets and our configuration, each with the line to write.
 */
import { existsSync } from 'node:fs'
import { Command } from 'commander'
import { type Diagnosis, diagnose, type Finding, gatherSite, thisMachine } from '../bridge/doctor/index.ts'
import { harmless } from '../host/observe/safe.ts'
import { ConfigurationSource } from './configuration.ts'
import { EXIT, EXIT_HELP, type ExitCode, print, printJson } from './console.ts'
import { surroundings } from './environment.ts'

interface DoctorOptions {
  readonly config?: string
  readonly postfixDir?: string
  readonly sendmailCf?: string
  readonly json?: true
  readonly verbose?: true
}

const POSTFIX = '/etc/postfix'
const SENDMAIL = '/etc/mail/sendmail.cf'

export const doctorCommand = (done: (code: ExitCode) => void): Command =>
  new Command('doctor')
    .description('compare the configuration with the MTA, its sockets and rights; say what to write')
    .option('-c, --config <file>', 'configuration file, or the folder it lies in')
    .option('--postfix-dir <dir>', `folder of main.cf and master.cf (default: ${POSTFIX} where it is there)`)
    .option('--sendmail-cf <file>', `Sendmail's configuration (default: ${SENDMAIL} where it is there)`)
    .option('--json', 'print JSON')
    .option('-v, --verbose', 'also say what was looked at and is well')
    .addHelpText(
      'after',
      `
Examples:
  milterhost doctor
  milterhost doctor --postfix-dir /etc/postfix-out --json | jq -r '.findings[].code'
${EXIT_HELP}`,
    )
    .action(async (options: DoctorOptions) => done(await doctor(options)))

async function doctor({ config, postfixDir, sendmailCf, json, verbose }: DoctorOptions): Promise<ExitCode> {
  const { file, configuration } = await new ConfigurationSource(config).load()
  const name = file ?? 'the default configuration'
  const named = postfixDir !== undefined || sendmailCf !== undefined
  const found = named ? { postfix: null, sendmail: null } : mtasHere()
  const { clock, log, services } = surroundings(configuration.settings)
  const site = await gatherSite({
    configuration,
    file: name,
    postfix: postfixDir ?? found.postfix,
    sendmail: sendmailCf ?? found.sendmail,
    machine: thisMachine(),
    clock,
    log,
    services,
  })
  const diagnosis = diagnose(site)
  const looked = {
    configuration: file,
    postfix: site.postfix === null ? null : `Postfix ${site.postfix.versionText}, ${site.postfix.directory}`,
    sendmail: site.sendmail === null ? null : `Sendmail ${site.sendmail.versionText}, ${site.sendmail.file}`,
  }
  if (json) printJson({ looked, ...diagnosis })
  else printDiagnosis([name, looked.postfix, looked.sendmail], diagnosis, verbose === true)
  return diagnosis.findings.some(({ severity }) => severity === 'wrong') ? EXIT.failed : EXIT.ok
}

/** Where the two MTAs keep their configurations. */
export function mtasHere(): { readonly postfix: string | null; readonly sendmail: string | null } {
  return {
    postfix: existsSync(`${POSTFIX}/main.cf`) ? POSTFIX : null,
    sendmail: existsSync(SENDMAIL) ? SENDMAIL : null,
  }
}

function printDiagnosis(looked: readonly (string | null)[], { findings, well }: Diagnosis, verbose: boolean): void {
  print(`${looked.filter(text => text !== null).join(' · ')}\n`)
  for (const finding of findings) print(`${findingText(finding)}\n`)
  const count = (severity: Finding['severity']): number => findings.filter(each => each.severity === severity).length
  if (verbose) for (const { code, title } of well) print(`ok      ${code}  ${title}`)
  print(`${count('wrong')} wrong, ${count('better')} could be better, ${well.length} checks ok`)
}

const findingText = ({ severity, code, what, where, write }: Finding): string =>
  [
    `${severity.padEnd(6)}  ${code}  ${harmless(what)}`,
    `        at     ${harmless(where)}`,
    `        write  ${harmless(write)}`,
  ].join('\n')
