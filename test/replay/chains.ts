/** The chains that captures are replayed against, and what an MTA may offer them. */
import { socket } from '../../src/index.ts'
import { definePlugin, type NoOptions, type Plugin } from '../../src/plugin.ts'
import { type Capture, captureNames, readCapture } from '../captures/read.ts'
import { type RunningHost, startHost } from '../interop/harness/host.ts'
import { tempDir } from '../interop/harness/index.ts'
import { type Conversation, conversationsOf, type Negotiation } from './conversation.ts'
import { type ReplayMilter, replayMilter } from './milter.ts'
import { type Played, play } from './mta.ts'

export type OnFailure = 'tempfail' | 'accept' | 'reject' | 'quarantine'

export const captures: readonly Capture[] = captureNames().map(readCapture)

/** Has every hook and does nothing in any. */
export const transparent: Plugin<NoOptions> = definePlugin({
  name: 'transparent',
  setup: () => ({
    connect() {},
    helo() {},
    mail() {},
    rcpt() {},
    data() {},
    headers() {},
    body() {},
    end() {},
    settled() {},
  }),
})

/** What MTAs of each protocol version offer, and one that can neither leave out a command nor go without a reply. */
export const offers: Readonly<Record<string, Negotiation>> = {
  'version 2': { version: 2, actions: 0x1ff, protocol: 0x7f },
  'version 3': { version: 3, actions: 0x1ff, protocol: 0x17f },
  'version 4': { version: 4, actions: 0x1ff, protocol: 0x37f },
  'version 6': { version: 6, actions: 0x1ff, protocol: 0x1fffff },
  'version 6 without options': { version: 6, actions: 0x1ff, protocol: 0x400 },
}

export interface Replayed {
  readonly conversation: Conversation
  readonly played: Played
}

/** All conversations of a capture, one after the other. */
export async function replay(
  host: RunningHost,
  conversations: readonly Conversation[],
  offer?: Negotiation,
): Promise<Replayed[]> {
  const all: Replayed[] = []
  for (const conversation of conversations)
    all.push({ conversation, played: await play(host.address, conversation, offer) })
  return all
}

/** A host whose only filter is the milter of a capture. */
export async function hostOfCaptured(
  capture: Capture,
  onFailure: OnFailure = 'tempfail',
): Promise<{ host: RunningHost; milter: ReplayMilter; conversations: Conversation[]; stop(): Promise<void> }> {
  const conversations = conversationsOf(capture)
  const milter = await replayMilter(conversations, `unix:${tempDir('captured')}/milter.sock`)
  const host = await startHost({ filters: [socket('captured', milter.address, { onFailure })] })
  const stop = async (): Promise<void> => {
    await host.stop()
    await milter.stop()
  }
  return { host, milter, conversations, stop }
}
