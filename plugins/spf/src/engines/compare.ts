/**
 * Both engines on the same question: the first is believed, a difference is told.
 *
 * Answers come from one DNS, whose cache makes the second evaluation cheap. The second never changes what comes out, however
 * it fails.
 */
import type { Engine, OnDifference } from '../engine.ts'

export const compare = (believed: Engine, other: Engine, onDifference: OnDifference): Engine => ({
  name: 'compare',
  async evaluate(question, around) {
    const [first, second] = await Promise.all([believed.evaluate(question, around), other.evaluate(question, around)])
    if (first.result !== second.result) onDifference(question, first, second)
    return first
  },
})
