/**
 * `milterhost init`: a configuration to begin with, from what the MTAs on this machine are told, and the lines to write there.
 */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { Command } from 'commander'
import { readPostfixConfig, readSendmailConfig, starterConfiguration } from '../bridge/doctor/index.ts'
import { parseSocketAddress } from '../bridge/wire/index.ts'
import { hostError } from '../host/errors.ts'
import { EXIT, EXIT_HELP, type ExitCode, print } from './console.ts'
import { mtasHere } from './doctor.ts'
import { mtaText } from './mta-lines.ts'
import { writeOutput } from './output-file.ts'

interface InitOptions {
  readonly output: string
  readonly force?: true
  readonly postfixDir?: string
  readonly sendmailCf?: string
}

export const initCommand = (done: (code: ExitCode) => void): Command =>
  new Command('init')
    .description('write a configuration to begin with, from what is found on this machine')
    .option('-o, --output <file>', 'where to write it', 'milterhost.config.ts')
    .option('--force', 'replace a file that is there')
    .option('--postfix-dir <dir>', 'folder of main.cf and master.cf')
    .option('--sendmail-cf <file>', "Sendmail's configuration")
    .addHelpText(
      'after',
      `
Examples:
  milterhost init --output /etc/milterhost/milterhost.config.ts
  milterhost init && milterhost check && milterhost doctor
${EXIT_HELP}`,
    )
    .action(async (options: InitOptions) => done(await init(options)))

async function init({ output, force, postfixDir, sendmailCf }: InitOptions): Promise<ExitCode> {
  const named = postfixDir !== undefined || sendmailCf !== undefined
  const found = named ? { postfix: postfixDir ?? null, sendmail: sendmailCf ?? null } : mtasHere()
  const postfix = found.postfix === null ? null : await readPostfixConfig(found.postfix)
  const sendmail = found.sendmail === null ? null : await readSendmailConfig(found.sendmail)
  const { text, listen } = starterConfiguration(postfix, sendmail)
  try {
    mkdirSync(dirname(output), { recursive: true })
  } catch (error) {
    throw hostError('OUTPUT_FAILED', output, (error as Error).message)
  }
  writeOutput(output, text, force === true)
  print(`${output} written.\n`)
  for (const address of listen) print(mtaText(parseSocketAddress(address, 'listen')))
  print('\nNext: milterhost check, milterhost run, the lines above, milterhost doctor.')
  return EXIT.ok
}
