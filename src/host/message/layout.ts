/**
 * The header list with all that filters are not shown: the MTA's own Received line, the places of headers that the MTA
 * would make itself, and removed fields.
 *
 * An index in an edit counts these on one MTA or the other, and a later filter may fill a place again, so a snapshot that
 * was edited carries its layout (`MessageSnapshot.layout`). Nodes of the message as received never move and never go:
 * a layout is that list with additions in between, which is what lets `batch.ts` say in few edits what has changed.
 */
import type { ByteString } from '../bytes.ts'
import type { HeaderField, MessageSnapshot } from './snapshot.ts'

export interface HeaderNode {
  readonly field: HeaderField
  readonly kind: 'received' | 'template' | 'original' | 'added'
  /**
   * `default`: left to the MTA. `live`: shown to filters. `removed`: by the filter whose edits are being applied.
   * `forgotten`: removed by an earlier one.
   */
  readonly state: 'default' | 'live' | 'removed' | 'forgotten'
  /** Position among the headers as the MTA sent them; -1 when it did not. */
  readonly origin: number
}

/**
 * What Sendmail's header list holds before the first header of the client, with a configuration made from its own m4
 * files (8.17): the `H` lines of the .cf. Its own Received line stands at 1.
 */
export const SENDMAIL_TEMPLATES: readonly ByteString[] = [
  'Return-Path',
  'Received',
  'Resent-Date',
  'Date',
  'Resent-From',
  'From',
  'Full-Name',
  'Resent-Message-Id',
  'Message-Id',
]

export const keyOf = (name: ByteString): string => name.toLowerCase()

export const isShown = (node: HeaderNode): boolean => node.state === 'live'

/** The layout of a message; one that was not edited has the stock one. */
export function layoutOf(message: Pick<MessageSnapshot, 'headers' | 'layout'>): readonly HeaderNode[] {
  if (message.layout !== undefined) return message.layout
  const nodes: HeaderNode[] = [...STOCK]
  for (const [origin, field] of message.headers.entries())
    nodes.push({ field, kind: 'original', state: 'live', origin })
  return nodes
}

const STOCK: readonly HeaderNode[] = SENDMAIL_TEMPLATES.map((name, index) => ({
  field: { id: -1 - index, name, value: '' },
  kind: name === 'Received' ? 'received' : 'template',
  state: 'default',
  origin: -1,
}))
