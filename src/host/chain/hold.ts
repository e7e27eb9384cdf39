/**
 * A filter's wish that the client waits: whether the MTA and the client bear it, then whether there is room.
 *
 * In observe mode nobody waits, and the filter goes on at once. What is refused is reported; that an MTA cannot be kept patient,
 * once for each filter, with what to set. `Session` offers it to its filters.
 */
import { described } from '../errors.ts'
import type { Client } from '../events.ts'
import type { HoldOutcome } from '../filter.ts'
import type { MtaKind } from '../mta.ts'
import type { HoldKeeper } from '../time/holds.ts'
import type { CallLimits } from './call.ts'
import type { Member } from './member.ts'

export interface HoldPlace {
  readonly mta: MtaKind
  readonly client: Client | null
  readonly keeper: HoldKeeper
  /** Reports a refusal. */
  refused(why: ReturnType<typeof described>): void
}

export async function holdClient(member: Member, seconds: number, place: HoldPlace): Promise<HoldOutcome> {
  if (member.observed) return 'waited'
  const { asked } = member
  const milliseconds = seconds * 1000
  const { mta, client, keeper, refused } = place
  if (asked === null) return 'refused'
  if (!asked.deadline.bears(milliseconds)) {
    if (keeper.isFirst(`${member.name} ${mta} ${asked.stage}`)) refused(tooLong(asked, seconds, mta))
    return 'refused'
  }
  return member.hold(signal => keeper.hold({ client, milliseconds, signal, refused }))
}

function tooLong({ filter, stage, deadline }: CallLimits, seconds: number, mta: MtaKind): ReturnType<typeof described> {
  const most = Math.max(deadline.total, deadline.grace) / 1000
  return mta === 'postfix' || stage === 'message'
    ? described('HOLD_TOO_LONG', filter, seconds, stage, most)
    : described('HOLD_IMPATIENT', filter, seconds, stage, most, mta === 'unknown')
}
