-- An MTA of an older protocol version: `version` is set on the command line. All is answered, as was agreed.
dofile(helpers)

local conn = open(tonumber(version))
check(not mt.test_option(conn, SMFIP_NR_MAIL), "MAIL would go without a reply")
greet(conn)
done(mt.mailfrom(conn, "<alice@example.com>", "SIZE=100"), "mailfrom")
replies(conn, SMFIR_CONTINUE, "MAIL")
done(mt.rcptto(conn, "<unknown@example.net>"), "rcptto")
replies(conn, SMFIR_REPLYCODE, "an unknown recipient")
done(mt.rcptto(conn, "<bob@example.net>"), "rcptto")
replies(conn, SMFIR_CONTINUE, "RCPT")
if tonumber(version) >= 4 then
  done(mt.data(conn), "data")
  replies(conn, SMFIR_CONTINUE, "DATA")
end
done(mt.header(conn, "Subject", "edit me"), "header")
done(mt.eoh(conn), "eoh")
done(mt.bodystring(conn, "Hello\r\n"), "bodystring")
done(mt.eom(conn), "eom")
replies(conn, SMFIR_CONTINUE, "end of message")
check(mt.eom_check(conn, MT_HDRCHANGE, "Subject", value(conn, "edited")), "Subject was not changed")
check(mt.eom_check(conn, MT_BODYCHANGE, "Goodbye\r\n"), "the body was not replaced")
mt.disconnect(conn)
