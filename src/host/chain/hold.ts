/**
 * A filter's wish that the client waits: whether the MTA and the client bear it, then whether there is room.
 *
 * In observe mode nobody waits, and the filter goes on at once. What is refused is reported; that an MTA cannot be kept patient,
 * once for each filter, with what to set. `Session` offers it to its filters.
 */
import { described } from '../errors.ts'
import type { HoldOutcome } from '../filter.ts'
import type { MtaKind } from '../mta.ts'
import type { HoldKeeper, HoldRequest } from '../time/holds.ts'
import type { CallLimits } from './call.ts'
import type { Member } from './member.ts'

/** Who is to wait, and where. */
export interface HoldPlace extends HoldRequest {
  readonly mta: MtaKind
  readonly keeper: HoldKeeper
}

export function holdClient(member: Member, seconds: number, place: HoldPlace): Promise<HoldOutcome> {
  if (member.observed) return Promise.resolve('waited')
  const { asked } = member
  if (asked === null) return Promise.resolve('refused')
  const milliseconds = seconds * 1000
  if (asked.deadline.bears(milliseconds)) return member.hold(signal => place.keeper.hold(place, milliseconds, signal))
  if (place.keeper.isFirst(`${member.name} ${place.mta} ${asked.stage}`))
    place.notHeld(tooLong(asked, seconds, place.mta))
  return Promise.resolve('refused')
}

function tooLong({ filter, stage, deadline }: CallLimits, seconds: number, mta: MtaKind): ReturnType<typeof described> {
  const most = Math.max(deadline.total, deadline.grace) / 1000
  return mta === 'postfix' || stage === 'message'
    ? described('HOLD_TOO_LONG', filter, seconds, stage, most)
    : described('HOLD_IMPATIENT', filter, seconds, stage, most, mta === 'unknown')
}
