/** The names that the tests of the plugin ask for. The client is 192.0.2.1 unless a test says otherwise. */
export const ZONE = `
  $ORIGIN test.
  pass       TXT "v=spf1 ip4:192.0.2.0/24 -all"
  fail       TXT "v=spf1 -all exp=why.test"
  why        TXT "%{i} is not ours, see http://%{d}/"
  softfail   TXT "v=spf1 ~all"
  neutral    TXT "v=spf1 ?all"
  broken     TXT "v=spf1 nonsense:x -all"
  dead       TXT !ESERVFAIL
  silent     TXT !hang
  hang       A !hang
  bare       A 192.0.2.9
  strict     TXT "v=spf1 -all"
  _dmarc.strict TXT "v=DMARC1; p=reject"
  mail.strict   TXT "v=spf1 -all"
  slow       TXT "v=spf1 -all"
  _dmarc.slow   TXT !ESERVFAIL
  relay      A 192.0.2.1
  relay      TXT "v=spf1 a -all"
  other      A 192.0.2.77
  verp       TXT "v=spf1 exists:%{l}._spf.verp.test -all"
  bounce+a=b._spf.verp A 127.0.0.2
`
