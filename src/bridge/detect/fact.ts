/**
 * What was read, and where it stands: the currency of detection.
 *
 * Every fact about a milter carries the file and line it was read from, so that the postmaster can look it up; a fact without
 * source is the product's own default. Files are named as seen from the root that was looked at. Nothing here reads.
 */

export interface Source {
  /** As seen from the root: `/etc/opendkim.conf`. */
  readonly file: string
  /** Counted from 1; 0 when the file itself is the fact, as with a link that enables a unit. */
  readonly line: number
}

export interface Fact<T> {
  readonly value: T
  /** `null`: the product's default, written nowhere. */
  readonly source: Source | null
}

/** A key or variable and its value, as one line gives it. */
export interface Setting {
  readonly value: string
  readonly source: Source
}

/** By name; names of configuration keys are in lower case, those of variables as written. */
export type Settings = ReadonlyMap<string, Setting>

/** The text of one file. */
export interface SourceText {
  readonly file: string
  readonly text: string
}

/** Something that could not be read or understood; detection goes on without it. */
export interface DetectWarning {
  readonly file: string
  readonly line: number
  readonly what: string
}

export const sourceText = ({ file, line }: Source): string => (line === 0 ? file : `${file}:${line}`)
