-- Verdicts with their words: a recipient refused, a message refused, a message cancelled, the next one fine.
dofile(helpers)

local conn = open(6)
greet(conn)
done(mt.mailfrom(conn, "<alice@example.com>"), "mailfrom")
done(mt.rcptto(conn, "<unknown@example.net>"), "rcptto")
replies(conn, SMFIR_REPLYCODE, "an unknown recipient")
done(mt.rcptto(conn, "<bob@example.net>"), "rcptto")
replies(conn, SMFIR_CONTINUE, "a known recipient")
done(mt.abort(conn), "abort")

message(conn, "refuse me")
replies(conn, SMFIR_REPLYCODE, "a refused message")
check(mt.eom_check(conn, MT_SMTPREPLY, "554", "5.7.1", "Not this"), "the reply is in other words")
check(not mt.eom_check(conn, MT_HDRINSERT), "a refused message was edited")

message(conn, "drop me")
replies(conn, SMFIR_DISCARD, "a discarded message")

message(conn, "harmless")
replies(conn, SMFIR_CONTINUE, "a harmless message")
mt.disconnect(conn)
