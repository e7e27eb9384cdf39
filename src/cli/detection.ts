/**
 * What `milterhost run` does with the milters of this machine: says when there is none, and reloads when they change.
 *
 * Nothing happens for a configuration without `...detected()`, nor, as to reloading, for one with `detect: { watch: false }`.
 */
import { type Change, type Detection, DetectWatch, detect, detectRoot, placeOf } from '../bridge/detect/index.ts'
import type { Configuration } from '../host/config/validate.ts'
import type { Logger } from '../host/observe/logger.ts'
import { systemClock } from '../host/time/clock.ts'

export interface DetectionOptions {
  readonly log: Logger
  /** A look from before the configuration was read, so that no change between the two is missed. */
  readonly before: Detection
  /** As it serves now. */
  configuration(): Configuration
  /** Where milterhost itself listens now. The MTA names that too. */
  listens(): readonly string[]
  reload(): void
}

/** The look that `before` wants. */
export const firstLook = (): Detection => detect(detectRoot())

/** Resolves, when every folder is watched, to what ends it. Never rejects. */
export async function followDetected({
  log,
  before,
  configuration,
  listens,
  reload,
}: DetectionOptions): Promise<() => Promise<void>> {
  const { detects, entries } = configuration()
  if (detects && !entries.some(({ entry }) => entry.found !== undefined)) {
    log.info({}, 'no milter in use was found on this machine beyond what is configured')
  }
  const watch = new DetectWatch({
    root: detectRoot(),
    before,
    clock: systemClock,
    log,
    wanted: () => configuration().detects === true && configuration().settings.detect.watch,
    own({ address }) {
      const place = placeOf(address.value)
      return listens().some(listened => placeOf(listened) === place)
    },
    changed(list) {
      for (const { kind, milter, fields } of list) log.info({ milter, ...fields }, WORDS[kind])
      reload()
    },
  })
  await watch.begin()
  return () => watch.close()
}

const WORDS: Readonly<Record<Change['kind'], string>> = {
  added: 'a milter of this machine is in use now',
  removed: 'a milter of this machine is not in use any more',
  changed: 'a milter of this machine is configured otherwise now',
}
