// What interop tests import. Importing it also ties the clean-up to the end of the test file: whatever a test started through the
// harness and did not stop itself is ended then, by its pid.

import { afterAll, vi } from 'vitest'
import { cleanUp } from './cleanup.ts'

export { onCleanup } from './cleanup.ts'
export { cstrings, frame, type Packet, Splitter, strings, uint32 } from './frames.ts'
export { type Machine, startMachine } from './machine.ts'
export { type Milter, type MilterKind, startMilter } from './milter.ts'
export type { Delivery, Mta } from './mta.ts'
export { type Agreement, type Conversation, type MtaClient, type MtaClientOptions, mtaClient } from './mtaClient.ts'
export { freePort, tempDir } from './places.ts'
export { type Postfix, type PostfixOptions, startPostfix } from './postfix.ts'
export { missingPrograms, type Program, requirePrograms } from './programs.ts'
export { type RawMilter, type RawMilterScript, rawMilter, type Step } from './rawMilter.ts'
export { rig, rigPath, run } from './rig.ts'
export { type Sendmail, type SendmailOptions, startSendmail } from './sendmail.ts'
export { type MailReplies, type Reply, type SmtpClient, smtp } from './smtp.ts'
export { PATIENCE, sleep, until, within } from './wait.ts'

// starting an MTA takes a second, or several beside a dozen other test files
vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 })
afterAll(cleanUp, 120_000)
