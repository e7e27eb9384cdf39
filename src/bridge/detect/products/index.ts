/** Every product that detection knows. A new one is a file here and a line below. */
import type { Product } from '../product.ts'
import { amavisdMilter } from './amavisd-milter.ts'
import { clamavMilter } from './clamav-milter.ts'
import { dkimpyMilter } from './dkimpy-milter.ts'
import { enma } from './enma.ts'
import { milterGreylist } from './milter-greylist.ts'
import { milterRegex } from './milter-regex.ts'
import { mimedefang } from './mimedefang.ts'
import { openarc } from './openarc.ts'
import { opendkim } from './opendkim.ts'
import { opendmarc } from './opendmarc.ts'
import { pyspfMilter } from './pyspf-milter.ts'
import { rspamd } from './rspamd.ts'
import { sidMilter } from './sid-milter.ts'
import { smfSpf } from './smf-spf.ts'
import { spamassMilter } from './spamass-milter.ts'

export const PRODUCTS: readonly Product[] = [
  amavisdMilter,
  clamavMilter,
  dkimpyMilter,
  enma,
  milterGreylist,
  milterRegex,
  mimedefang,
  openarc,
  opendkim,
  opendmarc,
  pyspfMilter,
  rspamd,
  sidMilter,
  smfSpf,
  spamassMilter,
]
