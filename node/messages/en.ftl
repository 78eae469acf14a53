# What the program says, in English. One message an id; what to try is its attribute `.try`.
#
# A fact named N comes with `has-N`, which is `yes` or `no`, since Fluent cannot ask whether a text is empty. In `.try`, names and paths
# are quoted for a shell where they need it. The French catalogue has the same ids with the same facts: a test compares them.

## Refusals of the engine.

bad-path = "{ $path }" is not a path: kind and field are made of a to z, 0 to 9, _ . and -, and an id has no / * = and no spaces.
    .try = kind/id/field, for example contact/me/email
needs-field = { $path } is a record, and a field is needed here.
    .try = allod list { $path }
bad-value = What was given for { $path } does not read as { $expected ->
    [text] text
    [integer] a whole number
    [decimal] a decimal number
    [boolean] true or false
    [date] a date
    [instant] a point in time
    [bytes] Base64
    [list] a list
    [map] a map
   *[other] { $expected }
 }.
    .try = { $expected ->
        [integer] digits alone, for example 42
        [decimal] a point and no spaces, for example 1234.50
        [boolean] true or false
        [date] year-month-day, for example 2026-12-31
        [instant] RFC 3339, for example 2026-12-31T18:00:00Z
        [bytes] { $path }:bytes=@FILE
        [list] a JSON list, for example ["a","b"]
        [map] a JSON object, for example {"{"}"a":"b"{"}"}
       *[other] another TYPE: { $path }:TYPE=VALUE
    }
unknown-type = "{ $word }" is not a type of value.
    .try = text, integer, decimal, boolean, date, instant, bytes, list or map
value-too-large = The value for { $path } has { $bytes } bytes or more, and 262,144 are the most.
    .try = several fields, or a smaller file
bad-shape = Lists and maps hold single values, at most 1,024 of them; what was given for { $path } is something else.
    .try = one field for each list in the list
too-many-fields = { $record } has { $most } fields, which is the most that a record may have.
    .try = another record
id-is-built-in = { $path } is the record's own id: it is there from the beginning, and nobody writes it.
    .try = another name for the field
no-record = There is no record { $record }.
    .try = allod list
no-field = { $record } has no field "{ $field }".
    .try = { $has-nearest ->
        [yes] allod get { $record }/{ $nearest }
       *[no] allod list { $record }
    }
no-peer = No peer is called "{ $name }".
    .try = allod peers
bad-petname = "{ $name }" cannot be a peer's name: it is empty, too long, holds a slash or a control character, or begins like an id.
    .try = a short name, for example acme
petname-taken = Another peer is called "{ $name }" already.
    .try = allod peers
ambiguous-id = "{ $beginning }" fits several: { $fits }.
    .try = type one more character
no-such-grant = No grant has the id { $id }.
    .try = allod grants
no-such-ask = No ask has the id { $id }.
    .try = allod asks
ask-is-over = The ask { $id } was { $state ->
    [granted] granted
    [partly] granted in part
    [declined] declined
    [withdrawn] withdrawn
   *[other] ended
 } already.
    .try = allod asks show { $id }
own-ask = The ask { $id } is your own; the other side answers it.
    .try = allod ask withdraw { $id }
not-own-ask = The ask { $id } came from the other side, which alone can withdraw it.
    .try = allod decline { $id }
not-asked = { $selector } is not in that ask.
    .try = allod asks show ASK
too-many-asks = { $peer } has { $most } open asks of yours, which is the most at once.
    .try = allod asks --out
no-grant = { $peer } lends you nothing at { $path }.
    .try = allod ask { $peer } { $path } --purpose PURPOSE
nothing-lent = { $peer } holds nothing of yours at { $selector }.
    .try = allod access { $peer }
taken-back = { $peer } took back { $path } on { $at }.
    .try = allod grants --held { $peer }
grant-is-over = The grant { $id } is over: { $state ->
    [revoked] it was taken back
    [expired] it ended as agreed
   *[other] it ended
 }.
    .try = allod grants show { $id }
grant-expired = What { $peer } lent at { $path } ended on { $at }, as agreed.
    .try = allod ask { $peer } { $path } --purpose PURPOSE, if you still need it
grant-not-yet = What { $peer } lends at { $path } begins on { $at }.
    .try = the same again then
lease-over = Nothing was heard from { $peer } since { $heard }, and the lease ended on { $ended }.
    .try = allod peers show { $peer }
not-arrived = { $peer } lends you { $path }, and its value has not come yet.
    .try = allod sync { $peer }
no-live-answer = This is read live, and { $peer } did not answer.
    .try = allod peers show { $peer }
too-many-reads = { $path } of { $peer } was read { $most } times within the hour, which is the most.
    .try = the same again in an hour
unknown-purpose = "{ $word }" is not a purpose that this node knows. Near it: { $nearest }.
    .try = --purpose with one of these
bad-end = That end lies in the past, or further ahead than an end may be.
    .try = --until 30d
bad-lease = A lease lasts from { $least_s } to { $most_s } seconds.
    .try = --lease 7d
bad-selection = One to { $most } selectors go into one ask or grant.
    .try = kind/id/field or kind/*/field, for example contact/me/email
text-too-long = The { $what ->
    [reason] reason
    [benefit] benefit
    [name] name
   *[other] text
 } is too long: { $most } bytes are the most.
    .try = fewer words
forked = { $peer } showed two different histories; both are kept, and nothing more is exchanged with it.
    .try = allod log { $peer } --verify
peer-closed = The relationship with { $peer } is closed.
    .try = allod invite
peer-restored = This node was put back from a backup, and what you lend { $peer } is suspended.
    .try = allod resume { $peer }
not-heard-yet = { $peer } was not heard since this node was put back: it may have been told of changes that the backup does not hold.
    .try = the same again when { $peer } is online (allod peers)
lent-not-heard = { $peer } was not heard since this node was put back: what it lends may have been taken back meanwhile.
    .try = the same again when { $peer } is online (allod peers)
not-suspended = Nothing that you lend { $peer } is suspended.
    .try = allod grants --given { $peer }
peer-pending = The pairing with { $peer } is not finished: both people must confirm it.
    .try = allod invite
too-many-open = { $most } invitations or pairings are open, which is the most at once.
    .try = allod invitations cancel
not-an-invitation = This is not an invitation: it begins with "{ $begins }", and an invitation begins with "ALLOD:".
    .try = the text that allod invite shows
invitation-cut = This is the beginning of an invitation; its end is missing.
    .try = copy it whole, or use --image
invitation-damaged = A character of this invitation is wrong.
    .try = copy it again, or use --image
invitation-newer = This invitation was made by a newer Allod (format { $version }).
    .try = a newer Allod here too
invitation-expired = { $seconds ->
    [0] This invitation is not good any more.
    [one] This invitation ended { $seconds } second ago.
   *[other] This invitation ended { $seconds } seconds ago.
 }
    .try = ask the other side to run allod invite again
invitation-used = This invitation was used already. If that was not you, someone else tried.
    .try = ask for a new one, on another channel
invitation-own = This invitation is your own.
    .try = allod accept on the other person's node
inviter-silent = Nobody answered at the addresses in this invitation.
    .try = allod invite running on the other side, and both on a network that joins them
no-address = This node listens nowhere that another could reach, so it cannot invite.
    .try = allod run --listen /ip4/0.0.0.0/tcp/4001, or let the other side invite
pairing-failed = The other side is not the one that made this invitation, or the connection broke off.
    .try = a new invitation
words-differ = Not paired: you said that the words differ.
    .try = a new invitation, seen on the other person's own screen
other-declined = Not paired: the other person said no.
    .try = a new invitation, if both want it
pairing-timed-out = Not paired: nobody confirmed in time.
    .try = a new invitation, with both people at their screens
no-such-pairing = There is no such pairing or invitation.
    .try = allod invitations
pairing-cancelled = Not paired: the invitation was cancelled.
    .try = allod invite
disk-full = The disk is full; nothing of this change was kept.
    .try = free some space, then again
store-failed = The store could not be written, and the node stops; nothing of this change was kept.
    .try = allod doctor
damaged = The store is damaged.
    .try = allod restore FILE with a new --home, or a copy of this home made earlier, put in its place
locked = The vault is locked.
    .try = allod unlock
busy = The node has too much to do for one more request.
    .try = the same again in a moment

## Refusals of the program around the engine.

node-no-home = There is no node in { $home } yet.
    .try = allod init
node-home-exists = There is already a node in { $home }.
    .try = the same with another --home
node-home-not-empty = { $home } holds other things, and no node.
    .try = the same with another --home
node-home-half-made = Making the node in { $home } was interrupted.
    .try = allod init, or allod restore FILE, from the beginning
node-home-open-to-others = Others on this machine may enter { $path } (mode { $mode }).
    .try = chmod go-rwx { $path }
node-home-newer = This home was written by a newer Allod (format { $version }). It was not touched.
    .try = a newer Allod
node-home-io = { $path } could not be read or written: { $detail }.
    .try = allod doctor
node-home-moved = { $home } was moved, replaced or removed while its node ran; the node stopped.
    .try = put the home in its place, then allod run
node-too-few-files = This process may have only { $allowed } files open at once; a node needs { $least }.
    .try = a higher limit (ulimit -n), then again
node-already-running = This home is in use by another running node (process { $process }).
    .try = allod status
node-bad-settings = { $path } does not read: { $why }.
    .try = correct that line, or remove it
node-settings-gone = { $path } is gone, and the vault beside it is not.
    .try = that file from a copy of this home, or from another home, with this one's store.engine
node-socket-path-too-long = The path of the control socket, { $path }, is longer than the { $most } bytes that a socket's may have.
    .try = allod --home with a shorter directory
node-secrets-would-be-logged = SSLKEYLOGFILE is set: the keys of all connections would be written to that file.
    .try = env -u SSLKEYLOGFILE allod run
node-network-failed = The network could not start: { $why }.
    .try = allod run --listen with another port
node-no-vault = { $home } holds no vault.
    .try = allod restore FILE with a new --home, or a copy of this home made earlier, put in its place
node-vault-damaged = The vault is damaged and was not opened.
    .try = allod restore FILE with a new --home, or a copy of this home made earlier, put in its place
node-vault-newer = The vault was written by a newer Allod (format { $version }). It was not touched.
    .try = a newer Allod
node-wrong-passphrase = That passphrase does not open this vault.
    .try = again, or allod passphrase --from-phrase with the 24 words
node-wrong-phrase = That recovery phrase does not open this vault.
    .try = again, or the phrase that this home showed when it was made
node-bad-phrase = This is not a recovery phrase: { $why }.
    .try = the 24 words that allod init showed, in their order
node-no-passphrase = The vault is locked, and there is no terminal to ask for its passphrase.
    .try = allod run --passphrase-file FILE
node-passphrase-file = The passphrase file { $path } does not read: { $detail }.
    .try = --passphrase-file with a file that you may read
node-too-little-memory = Checking a passphrase takes { $kib } KiB of memory, and they are not there.
    .try = end another program, then again
node-bad-name = A node's name has from 1 to { $most } bytes, without slashes and control characters.
    .try = --name with a short name
node-bad-passphrase = A passphrase has from 1 to { $most } bytes.
    .try = a sentence that you can remember
node-no-passphrase-set = This home has no passphrase.
    .try = allod passphrase
node-clock-before-1970 = The clock of this computer shows a time before 1970; a node can't run then.
    .try = the clock set right, then again
node-store-damaged = The store is damaged and was not opened: { $detail }.
    .try = allod restore FILE with a new --home, or a copy of this home made earlier, put in its place
node-store-io = The store could not be read or written: { $detail }.
    .try = allod doctor
node-stopping = The node is stopping.
    .try = allod run
node-engine-fault = The node found something that cannot be, and stopped: { $detail }.
    .try = allod doctor
node-no-route = The control API has nothing at { $path }.
    .try = /v1/openapi.json
node-no-method = The control API knows { $path }, but not with this method.
    .try = /v1/openapi.json
node-bad-body = The body is not the JSON that is expected here: { $why }.
    .try = /v1/openapi.json
node-bad-parameter = The parameter "{ $name }" { $why }.
    .try = /v1/openapi.json
node-body-too-large = The request is larger than { $most } bytes.
    .try = several smaller ones
node-too-slow = The request did not arrive within { $seconds } { $seconds ->
    [one] second
   *[other] seconds
 }.
    .try = the same again
node-too-many-watchers = { $most } programs watch this node already, which is the most.
    .try = end one of them
node-other-user = Only the user who runs this node may command it.
    .try = the same as that user
node-bad-time = "{ $text }" is not a time.
    .try = RFC 3339, for example 2026-12-31T18:00:00Z
node-import-too-large = The file has { $bytes } bytes, and { $most } are the most.
    .try = split the file, and import the parts one by one
node-import-too-many-records = The file holds more than { $most } records.
    .try = split the file, and import the parts one by one
node-import-item-too-large = Item { $item } of the file is larger than { $most } bytes, which is no record.
    .try = put the objects of the file into one array, or one on a line
node-import-too-many-columns = The table has { $columns } columns, and { $most } are the most.
    .try = leave columns out, and import the rest
node-import-unknown = This is { import-looks-like }, which cannot be imported.
    .try = allod import FILE --format vcard|csv|json, if it is one of these
node-import-needs-kind = A { $format } file does not say what its records are.
    .try = allod import FILE --kind contact|transaction|consumption|document|…
node-import-no-header = Line { $line } should name the columns, but "{ $cell }" is no name.
    .try = add a first line that names the columns, as date;amount;description
node-import-broken = The JSON breaks at line { $line }, column { $column }: { $fault ->
    [cut] it ends in the middle
    [value] a value should stand there
    [separator] a comma, a colon or a closing bracket should stand there
    [trailing-comma] a comma stands there with nothing behind it
    [name] a name in quotation marks should stand there
    [number] a number stands there that is none
    [text] a text stands there that is not written as JSON writes texts
    [more] something stands behind its end
    [too-deep] it is nested too deep
    [records] an array of records should stand there
   *[other] something else should stand there
 }.
    .try = export the file again where it came from; this one is damaged or cut off
node-import-newer = This export has version { $version }, and this node reads version 1.
    .try = update this node, then import again
node-import-nothing = { $has-skip ->
    [yes] No record of this file can be imported; { import-where }: { $skip }
   *[no] No record was found in { import-looks-like }
 }.
    .try = open the file to see what it holds, or name its format with --format
node-backup-under-way = Another backup is being made or fetched.
    .try = the same again when it is done
node-backup-no-room = There is no room for the backup, which is put together in { $home } first.
    .try = free some space, then again
node-no-backup = { $path } is no backup.
    .try = a file that allod backup made
node-backup-newer = { $path } was made by a newer Allod (format { $version }).
    .try = a newer Allod
node-backup-damaged = { $path } was cut short or changed since it was made; nothing of it was brought back.
    .try = another copy of it, or another backup
node-backup-wrong-phrase = These 24 words do not open { $path }.
    .try = the words that allod init showed for the home that was backed up
node-backup-unread = { $path } could not be read: { $detail }.
    .try = another copy of it
node-internal = A fault in the node: { $what }.
    .try = allod doctor

## What the command line itself refuses.

cli-not-running = No node is running for { $home }.
    .try = allod run
cli-no-node-here = { $home } holds no node.
    .try = allod init
cli-not-yours = The node in { $home } belongs to another user.
    .try = the same as that user
cli-socket-failed = The control socket in { $home } cannot be used: { $why }.
    .try = allod doctor
cli-node-silent = The node in { $home } did not answer within { $seconds } { $seconds ->
    [one] second
   *[other] seconds
 }.
    .try = allod doctor
cli-node-broke-off = The node in { $home } broke off: { $why }.
    .try = allod doctor
cli-node-stopped = The node stopped.
    .try = allod run
cli-fault = A fault in this command: { $why }.
    .try = the same again, and tell the makers if it comes back
cli-output-failed = The answer could not be written: { $why }. What was asked for may have been done.
    .try = free some space, then allod log
cli-phrase-unseen = The recovery phrase could not be shown, since this output is full or nobody reads it. The node in { $home } is not finished.
    .try = allod init, where you can read what it says
cli-no-home-directory = It is not known where your home directory is.
    .try = allod --home DIR
cli-no-such-file = There is no file { $path }.
    .try = another path
cli-no-such-directory = There is no directory { $path }; nothing was written.
    .try = mkdir { $path }, or another path
cli-file-exists = { $path } is there already, and is not overwritten.
    .try = another name
cli-no-space = The disk is full; { $path } was not written.
    .try = free some space, then again
cli-file-failed = { $path } could not be read or written: { $why }.
    .try = another path
cli-file-too-large = { $path } is larger than the { $mebibytes } MiB that an import may have.
    .try = a smaller file, in several imports
cli-too-much-at-once = All values together are larger than the { $most } bytes that one command may carry.
    .try = several commands
cli-ask-no-value = There is no value yet for { $missing }, and what is not there cannot be lent.
    .try = { $has-lent ->
        [yes] allod answer { $ask } { $lent }
       *[no] allod set { $path }
    }
cli-import-skipped = { $count } { $count ->
    [one] part was
   *[other] parts were
 } skipped, and --strict was given.
    .try = without --strict, to go on without them
cli-backup-needs-file = A backup goes into a file of its own, and not to stdout.
    .try = allod backup FILE
cli-needs-yes = This asks for a yes, and there is no terminal to ask at.
    .try = the same with --yes
cli-not-confirmed = Nothing was done.
    .try = the same again, and yes
cli-no-terminal = The vault is locked, and there is no terminal to ask for its passphrase.
    .try = the same with --passphrase-file FILE
cli-passphrases-differ = The two passphrases differ.
    .try = the same again
cli-no-value = There is no value for { $path }.
    .try = { $path }=VALUE, or the value on stdin
cli-lines-and-paths = { $paths } paths wait for a value, and stdin has { $lines } { $lines ->
    [one] line
   *[other] lines
 }.
    .try = one line for each path
cli-bad-time = "{ $text }" is not a time for { $option }.
    .try = 30d, 2026-12-31 or 2026-12-31T18:00:00Z
cli-bad-duration = "{ $text }" is not a duration for { $option }.
    .try = 10s, 10m, 24h, 30d or 1y
cli-bad-cursor = "{ $cursor }" is not a place in this list.
    .try = without --after
cli-nothing-asked = An ask names at least one field.
    .try = allod ask PEER contact/me/email --purpose PURPOSE
cli-nothing-chosen = Nothing of the ask { $ask } was chosen.
    .try = allod decline { $ask }
cli-revoke-selectors-of-peer = { $grant } is a grant, and is taken back whole.
    .try = allod revoke PEER SELECTOR
cli-unknown-event = "{ $event }" is not an event. There are: { $events }.
    .try = --until with one of these
cli-log-not-whole = The logs do not hold together.
    .try = allod doctor
cli-doctor-found = { $count } { $count ->
    [one] check needs
   *[other] checks need
 } your attention.
    .try = what stands below each of them
cli-not-a-picture = { $file } is not a PNG or JPEG picture.
    .try = a photo or a screenshot, or paste the text
cli-picture-too-large = { $file } is larger than a picture may be.
    .try = a smaller picture, or paste the text
cli-no-code = No QR code could be read in { $file } ({ $width } x { $height }).
    .try = closer, straighter, or paste the text
cli-other-code = The picture holds a QR code, but not an Allod invitation (it begins with "{ $begins }").
    .try = a picture of the code that allod invite shows
cli-code-too-long = The invitation is longer than a QR code can hold.
    .try = fewer addresses: allod run with one --listen

## Wrong usage.

cli-no-verb = A command is missing.
    .try = allod --help
cli-unknown-verb = There is no command "{ $verb }".
    .try = { $help }
cli-unknown-verb-near = There is no command "{ $verb }". Near it: { $nearest }.
    .try = { $help }
cli-unknown-option = "{ $option }" is not expected here.
    .try = { $help }
cli-unknown-option-near = "{ $option }" is not expected here. Near it: { $nearest }.
    .try = { $help }
cli-missing = Something is missing: { $option }.
    .try = { $help }
cli-option-needs-value = { $option } needs a value.
    .try = { $help }
cli-bad-option-value = "{ $value }" is not a value for { $option }.
    .try = { $help }
cli-bad-option-word = "{ $value }" is not a value for { $option }. There are: { $valid }.
    .try = { $help }
cli-option-twice = { $option } is given twice.
    .try = { $help }
cli-options-conflict = { $option } and { $other } do not go together.
    .try = { $help }
cli-too-many-values = There are too many values for { $option }.
    .try = { $help }
cli-not-utf8 = An argument is not UTF-8.
    .try = { $help }
cli-wrong-usage = That is not how this command is used.
    .try = { $help }

## Frames.

label-try = try:{" "}
label-colon = :{" "}
interrupted = Stopped.
more-follow = There are more: --after { $cursor }
ask-yes-no = [y/N]
ask-again = Please answer y or n.
ask-value = Value for { $path }:{" "}
ask-invitation = Invitation (the text that begins with ALLOD:):{" "}
ask-passphrase = Passphrase for the vault in { $home }:{" "}
ask-new-passphrase = New passphrase for the vault:{" "}
ask-passphrase-again = The same again:{" "}
ask-phrase = Recovery phrase (24 words):{" "}

## The node.

init-done = A node for { $name } stands in { $home }.
init-phrase = These 24 words open it when the passphrase is forgotten. Write them on paper; they are not shown again.
init-next = Next: allod run
backup-done = { $file }: { $records } { $records ->
    [one] record
   *[other] records
 }, { $kib } KiB, as of { $at }.
backup-words = The 24 words of this home open it; without them nobody can, you neither.
restore-done = { $name } is back in { $home }: { $records } { $records ->
    [one] record
   *[other] records
 } and { $peers } { $peers ->
    [one] peer
   *[other] peers
 }, as of { $at }.
restore-removed = What was removed after that is back too; what was written after that is not.
restore-suspended = What you lend is suspended: nothing goes out to a peer until you say allod resume PEER, once it was heard.
restore-old-node = If the home that this comes from is still there, its node must not run again: peers that met this one refuse it.
stop-done = The node stopped.
lock-done = The vault is locked: the keys are gone from memory until allod unlock.
unlock-done = The vault is open.
passphrase-changed = The vault has a new passphrase.
passphrase-removed = The vault has no passphrase any more: whoever reads this home's files reads everything in it.
status-up = { $name } is up for { $up } (Allod { $version }).
status-sealed = The vault is locked. To open it: allod unlock
status-disk-short = The disk is nearly full: what other nodes send is not taken. See: allod doctor
status-problem = Last problem: { $problem }
status-records = Records
status-records-value = { $records } with { $fields } { $fields ->
    [one] field
   *[other] fields
 }
status-grants = Grants
status-grants-value = { $given } given, { $held } held
status-peers = Peers
status-peers-value = { $paired } paired, { $online } online
status-due = Waiting
status-due-value = { $due } { $due ->
    [one] value
   *[other] values
 } for peers that have not taken them yet
status-store = Store
status-store-value = { $kib } KiB
status-memory = Memory
check-ok = ok: { $name }: { $detail }
check-not-ok = not ok: { $name }: { $detail }
check-home = home
check-vault = vault
check-store = store
check-disk = disk
check-logs = logs
check-clock = clock
check-reachability = reachability
check-peers = peers
check-node = node
check-memory = memory

## What doctor finds.

doctor-home-ok = yours alone
doctor-home-open = Others on this machine may enter { $path } (mode { $mode }).
    .try = chmod go-rwx { $path }
doctor-home-odd = The home is not as it should be: { $detail }
    .try = allod --home with the right directory
doctor-not-running = The node is not running: store, logs and network were not looked at.
    .try = allod run
doctor-vault-ok = protected by a passphrase
doctor-vault-unprotected = without a passphrase: whoever reads this home's files reads everything
    .try = allod passphrase
doctor-vault-bad = The vault does not read ({ $detail }).
    .try = allod restore FILE with a new --home, or a copy of this home made earlier, put in its place
doctor-store-ok = { $engine }, { $bytes } bytes
doctor-store-damaged = The store is damaged: { $detail }
    .try = allod restore FILE with a new --home, or a copy of this home made earlier, put in its place
doctor-store-unreadable = The store does not read: { $detail }
    .try = allod stop, then allod run
doctor-disk-ok = { $free } MiB free
doctor-disk-short = Only { $free } MiB of the disk are free: what other nodes send is not taken before there are { $kept } again.
    .try = make room on this disk; what you write and take back yourself still works
doctor-disk-unknown = the system does not tell how much room there is
doctor-logs-ok = { $entries } { $entries ->
    [one] entry holds
   *[other] entries hold
 } together
doctor-logs-gaps = { $gaps } { $gaps ->
    [one] gap
   *[other] gaps
 } in { $entries } entries
    .try = allod log --verify
doctor-logs-locked = not looked at: the vault is locked
    .try = allod unlock
doctor-logs-failed = could not be looked at ({ $detail })
    .try = allod log --verify
doctor-clock-ok = plausible
doctor-clock-early = The clock shows a time before this program was made.
    .try = set the clock
doctor-clock-back = The clock is { $seconds } seconds behind this home's newest file.
    .try = set the clock
doctor-clock-peers = The clocks of { $peers } and of this machine differ.
    .try = set the clock here, or ask them to set theirs
doctor-listen-ok = listening at { $addresses } { $addresses ->
    [one] address
   *[other] addresses
 }
doctor-listen-local = Only this machine reaches this node.
    .try = allod run --listen /ip4/0.0.0.0/tcp/4001
doctor-listen-none = This node listens nowhere: it can call others, and nobody can call it.
    .try = allod run --listen /ip4/0.0.0.0/tcp/4001
doctor-peers-ok = { $peers } paired, { $online } online
doctor-peers-waiting = Not reached: { $peers }
    .try = allod peers show PEER
doctor-peers-frozen = Two different histories were shown by { $peers }.
    .try = allod log PEER --verify
doctor-peers-restored = This node was put back from a backup; what you lend is suspended for { $peers }.
    .try = allod resume PEER
doctor-peers-locked = not looked at: the vault is locked
    .try = allod unlock
doctor-memory-ok = keys are kept out of swap
doctor-memory-swappable = the system lets keys be written to swap

## Records.

set-done = { $count } { $count ->
    [one] field
   *[other] fields
 } written.
remove-preview = { $record } with all its fields and versions: { $fields }
remove-ask = Remove { $record } and destroy its keys?
remove-done = { $count } { $count ->
    [one] field
   *[other] fields
 } removed. Backups made before still hold what they held.
import-done = { $records } { $records ->
    [one] record
   *[other] records
 } ({ $format }): { $new } new, { $changed } changed, { $unchanged } unchanged, { $skipped } skipped.
import-would = Would read { $records } { $records ->
    [one] record
   *[other] records
 } ({ $format }): { $new } new, { $changed } changed, { $unchanged } unchanged, { $skipped } skipped. Nothing was written.
import-progress = { $percent } % read
import-more-skipped = And { $count } more: allod import { $file } --dry-run --json
import-where = { $place ->
    [line] line { $line }
    [item] item { $item }
    [record] record { $item }
    [record-field] record { $item }, { $field }
   *[further-on] further on
 }
import-looks-like = { $looks_like ->
    [pdf] a PDF
    [zip] a ZIP archive or an office document
    [gzip] a gzip archive
    [picture] a picture
    [sqlite] an SQLite database
    [old-office] an old office document
    [empty] an empty file
    [binary] binary data
    [calendar] a calendar
    [ofx] an OFX bank file
    [qif] a QIF bank file
    [invitation] an invitation
    [markup] XML or HTML
    [plain-text] plain text
    [cut-cards] a vCard file without one whole card
    [no-cards] a file without BEGIN:VCARD
    [no-rows] a table without one whole row below its header
    [no-objects] JSON without an object that holds a value
    [no-records] an export without records
   *[other] something else
 }
import-skip-above-header = stands above the line that names the columns
import-skip-open-quote = a quotation mark that opens here never closes
import-skip-open-quotes = a quotation mark that opens here never closes; skipped up to line { $last_line }
import-skip-other-width = has { $cells } { $cells ->
    [one] cell
   *[other] cells
 } where the header has { $columns }
import-skip-too-many-fields = has { $fields } fields; { $most } are the most
import-skip-no-value = holds no value
import-skip-same-row = is the same as a row above
import-skip-same-item = is the same as an item above
import-skip-same-card = the card that begins here is the same as one above
import-skip-value-too-large = "{ $what }" is larger than a value can be (256 KiB, 1,024 items)
import-skip-no-object = is { $noun ->
    [null] null
    [boolean] true or false
    [number] a number
    [text] a text
    [array] an array
   *[other] something else
 }, not an object
import-skip-no-record = has no "record" of the form kind/id, or no "fields"
import-skip-other-kind = is of the kind { $kind }, and only { $wanted } was asked for
import-skip-no-name = "{ $text }" is not a name: a to z, then a to z, 0 to 9, _ . -, 64 at most
import-skip-own-id = the field "id" is the record's own
import-skip-no-type = "{ $word }" is no type
import-skip-not-of-type = "{ $text }" is no value of the type { $expected }
import-skip-bad-shape = lists and maps hold up to { $most } single values, a map in order of name
import-skip-card-cut-off = the card that begins here is cut off: it has no END:VCARD
import-skip-card-too-long = the card that begins here has more than { $most } properties
import-skip-empty-card = the card that begins here is empty
import-skip-outside-cards = { $lines ->
    [one] stands outside of any card
   *[other] { $lines } lines from here stand outside of any card
 }
import-skip-property-too-large = the property has { $bytes } bytes; { $most } are the most
import-skip-no-colon = has no colon, so it is no property
import-skip-unreadable = the value of { $property } cannot be read
import-skip-record-full = { $property }: a record has { $most } fields at most
import-skip-more = { $count } more { $count ->
    [one] was
   *[other] were
 } left out for reasons like these
export-done = { $count } { $count ->
    [one] record
   *[other] records
 } written to { $file }.
no-records = There are no records.
nothing-lent-here = Nothing is lent to you there.
no-versions = There are no versions.

## Pairing.

invite-how = Show this to the other person, or send it; there: allod accept
    It is good until { $expires }, while this command runs.
invite-too-small = This window is too small for the QR code: allod invite --png FILE
invite-picture = The QR code is in { $file }.
accept-calling = Calling the other side…
pairing-compare = Both screens must show the same words:
pairing-ask = Does the other screen show the same?
pairing-waiting = Waiting until the other person has confirmed too…
pairing-done = Paired with { $peer }. Nothing is lent yet.
pairing-next = Next: allod grant { $peer } SELECTOR --purpose PURPOSE
pairing-others = { $count ->
    [one] Someone else tried this invitation once.
   *[other] Someone else tried this invitation, { $count } times.
 } If that was not you, ask for a new one on another channel.
invitations-cancelled = All open invitations are cancelled.
no-invitations = There are no invitations.
no-peers = There are no peers.
calls-itself = { $name } (unproven)
online = online
never-seen = not seen yet
peer-renamed = { $old } is called { $new } here from now on.
sync-started = { $has-peer ->
    [yes] Syncing with { $peer }.
   *[no] Syncing with all peers.
 }
no-grants-with = Nothing is lent between you and { $peer }.
resume-ask = Let all that is suspended go on, with the present values?
resume-done = { $count } { $count ->
    [one] grant goes on
   *[other] grants go on
 }.
forget-ask = End the relationship with { $peer }, and all that is lent both ways?
forget-done = The relationship with { $peer } is closed; { $count } { $count ->
    [one] grant
   *[other] grants
 } ended.

## Lending.

told-delivered = { $peers } { $count ->
    [one] has
   *[other] have
 } it.
told-queued = { $peers } { $count ->
    [one] has
   *[other] have
 } not taken it yet; it goes out when { $count ->
    [one] it
   *[other] they
 } can be reached.
leaving = This goes to { $peer }:
leaving-nothing-yet = (no value yet; values that come later go out too)
leaving-more = and { $count } more
leaving-purpose = for: { $purpose }
leaving-until = until: { $until }
leaving-no-end = until: you take it back
leaving-mode-follow = later versions too: yes (keys enforce what is readable; the agreement, what it is used for)
leaving-mode-once = later versions too: no, only this one (keys enforce it; the agreement, what it is used for)
leaving-mode-reference = nothing is kept there: each reading asks this node (the agreement says so; a copy can be made)
grant-ask = Lend this to { $peer }?
grant-done = Lent to { $peer } until you take it back: { $selectors } ({ $grant }).
grant-done-until = Lent to { $peer } until { $until }: { $selectors } ({ $grant }).
grant-take-back = To take it back: allod revoke { $grant }
answer-optional-ask = Lend { $selector } too? It is optional.
optional = { $selector } (optional)
ask-sent = { $peer } has your request ({ $ask }).
ask-queued = { $peer } has not taken it yet; the request { $ask } is kept and goes out when it can be reached.
ask-withdrawn = The request { $ask } is withdrawn.
decline-done = The request { $ask } is declined; nothing is lent.
would-leave = This would go to { $peer }:
asks-next = To lend it: allod answer { $ask }. To say no: allod decline { $ask }
asks-next-part = To lend what there is: allod answer { $ask } { $lent }. To say no: allod decline { $ask }
no-value-yet = (no value yet)
answer-left-out = { $selector } is left out: it has no value yet.
revoke-ask = Take all of this back from { $peer }?
revoke-done = Taken back: { $selectors } ({ $grant }), after version { $version } was handed over.
revoke-done-undelivered = Taken back: { $selectors } ({ $grant }), before anything was handed over.
revoke-still-lent = { $selector } is still lent under { $grant }.
revoke-heard = { $peers } has heard it; that its node dropped keys and values is not confirmed yet.
revoke-purge-confirmed = { $peers } has heard it, and its node says that it dropped keys and values.
revoke-away = { $peers } has not heard it yet, and hears of it when it can be reached.
revoke-away-until = { $peers } has not heard it yet, and hears of it when it can be reached; its lease ends on { $until } whatever happens.
revoke-limits = { $peer } can no longer read newer values. What it read before, it may remember.
revoke-limits-all = Newer values can no longer be read. What was read before may be remembered.
no-grants = Nothing is lent, either way.
no-asks = There are no asks.
no-use = No use was reported.
no-access = Nobody holds it, and nothing is lent there.
no-end = no end
no-entries = Nothing has passed yet.
verify-ok = All { $count } { $count ->
    [one] entry
   *[other] entries
 } hold together.
watch-begins = Watching. Ctrl-C ends it.
purge-confirmed = confirmed
purge-confirmed-at = their node said on { $at }: dropped
purge-awaited = not yet confirmed
purge-none = {""}
purge-awaited-until = not yet confirmed; their lease ends on { $until }

## Events.

event-field-changed = { $has-peer ->
    [yes] { $peer } changed { $path }
   *[no] { $path } changed
 }
event-granted = lent between you and { $peer }: { $selectors } ({ $grant })
event-revoked = taken back between you and { $peer }: { $selectors } ({ $grant })
event-asked = { $peer } asks for { $selectors } ({ $ask })
event-answered = { $peer } answered { $ask }
event-declined = { $ask } was declined ({ $peer })
event-withdrawn = { $peer } withdrew { $ask }
event-purged = { $peer } says that it dropped what was lent ({ $grant })
event-used = { $peer } reports use of { $path } ({ $grant })
event-peer-online = { $peer } is online
event-peer-offline = { $peer } is offline
event-paired = paired with { $peer }
event-closed = the relationship with { $peer } is closed
event-forked = { $peer } showed two different histories
event-peer-restored = { $peer } was put back from a backup and begins anew
event-resumed = what you lend { $peer } goes on
event-pairing = a pairing goes on

## Columns.

column-addresses = Addresses
column-agreement = Agreement
column-ask = Ask
column-at = At
column-benefit = Benefit
column-calls-itself = Calls itself
column-declined-because = Declined because
column-direction = Direction
column-ended = Ended
column-expires = Good until
column-fields = Fields
column-from = From
column-grant = Grant
column-kind = Kind
column-last-delivery = Last delivery
column-last-problem = Last problem
column-last-use = Last use
column-lease = Lease until
column-log-mine = Our log
column-log-theirs = Their log
column-mode = Mode
column-path = Path
column-peer = Peer
column-purge = Dropped there
column-purpose = Purpose
column-queued = Waiting
column-reason = Reason
column-record = Record
column-seen = Last seen
column-selector = Under
column-selectors = Selectors
column-seq = Number
column-since = Since
column-source = Source
column-state = State
column-taken-back = Taken back
column-type = Type
column-until = Until
column-uses = Uses
column-value = Value
column-version = Version
column-way = Way
column-what = What
column-where = Where
column-why = Why

## Words of JSON.

direction-given = we lend
direction-held = they lend
ask-direction-in = they ask
ask-direction-given = they ask
ask-direction-out = we ask
ask-direction-held = we ask
ask-state-open = open
ask-state-granted = granted
ask-state-partly = granted in part
ask-state-declined = declined
ask-state-withdrawn = withdrawn
grant-state-active = active
grant-state-suspended = waits for your word
grant-state-revoked = taken back
grant-state-expired = ended as agreed
peer-state-paired = paired
peer-state-pending = not confirmed yet
peer-state-frozen = frozen: two histories
peer-state-restored = restored: lending is suspended
peer-state-closed = closed
invitation-state-open = open
invitation-state-used = used
invitation-state-expired = over
kind-person = person
kind-vendor = vendor
mode-follow = follow: later versions too
mode-once = once: this version only
mode-reference = reference: each reading asks
way-sent = sent
way-received = received
source-typed = typed here
source-import-of = import of { $name }
type-text = text
type-integer = integer
type-decimal = decimal
type-boolean = boolean
type-date = date
type-instant = point in time
type-bytes = bytes
type-list = list
type-map = map

## Purposes.

purpose-RequestedServiceProvision = Providing the service asked for
purpose-DeliveryOfGoods = Delivery of goods
purpose-PaymentManagement = Payment
purpose-CustomerCare = Customer care
purpose-CustomerOrderManagement = Handling the order
purpose-CustomerClaimsManagement = Handling claims
purpose-IdentityVerification = Checking identity
purpose-AgeVerification = Checking age
purpose-FraudPreventionAndDetection = Preventing fraud
purpose-LegalCompliance = Obeying the law
purpose-ServicePersonalisation = Personalising the service
purpose-PersonalisedBenefits = Personal benefits
purpose-ProvideProductRecommendations = Recommending products
purpose-ServiceUsageAnalytics = Measuring use of the service
purpose-DirectMarketing = Direct marketing
purpose-TargetedAdvertising = Targeted advertising
purpose-SellDataToThirdParties = Selling data to others
purpose-ResearchAndDevelopment = Research and development
purpose-DataAltruism = For the common good
purpose-VendorSelectionAssessment = Comparing offers
purpose-RightsFulfilment = Answering a right of yours

## Help.

help-heading-usage = Usage:
help-heading-commands = Commands
help-heading-options = Options
help-heading-arguments = Arguments
help-first-steps = First steps: allod init, then allod run, then allod invite in another terminal. Or, to see it all at once: allod demo
help-json = With --json: { $keys }
    Text for people may change between versions. JSON does not: keys are only added.
help-exit-codes = Exit codes: 0 done (also when it is kept for a peer that is away), 1 failed, 2 wrong usage, 3 no node running, 4 not found, 5 refused, 6 locked or wrong passphrase, 7 damaged or forked, 8 no live answer, 130 Ctrl-C. Unknown codes mean failure.

help-any-help = Shows this; --help shows more than -h
help-any-version = Shows the version
help-any-home = The node's directory [else ALLOD_HOME, else the platform's data directory]
help-any-json = JSON on stdout, errors as JSON on stderr
help-any-lang = Language of text: en or fr [else the locale]
help-any-limit = At most so many items
help-any-after = Items after this cursor: `next` of the page before
help-any-yes = Yes to every question, for scripts
help-any-passphrase-file = The passphrase stands in this file, alone
help-any-peer = A peer's name here
help-any-from = Among what this peer lends
help-any-purpose = What it is for: a term of W3C DPV or a short word for it (delivery, payment, care, identity, marketing…)
help-any-until = Until when: a duration (30d), a date (end of that day) or RFC 3339
help-any-mode = follow (later versions too), once (this version), reference (each reading asks) [else follow]
help-any-terms = Terms to lend under, by their reference
help-any-name = What the other side is called here
help-any-ask = An ask's id, or its beginning
help-any-grant = A grant's id, or its beginning
help-any-path = kind/id/field, or kind/id for a whole record
help-any-paths = kind/id/field, or kind/id for a whole record
help-any-selectors = kind/id/field, or kind/*/field for that field in every record
help-any-kind = Records of this kind alone
help-any-reason = In your own words

help-allod = Records about yourself, lent field by field, until you say stop

help-init = Makes a node: its directory, keys and recovery phrase
help-init-name = What the node calls itself; peers see it
help-init-kind = person or vendor: a label, no more [else person]
help-init-no-passphrase = No passphrase: whoever reads the files reads everything
help-init-more = Without --passphrase-file and --no-passphrase the passphrase is asked for; without a terminal it is refused (6). The 24 words are shown once.
help-run = Runs the node, in the foreground, until Ctrl-C or SIGTERM
help-run-listen = Listen at this multiaddr; may be repeated [else as in config.toml]
help-status = Is it up, who is there, what is in it
help-stop = Stops the node cleanly
help-lock = Wipes the keys from the node's memory until it is unlocked
help-unlock = Opens the vault again
help-unlock-from-phrase = Open it with the 24 words, asked for or on stdin
help-demo = Shows the main job on two nodes of its own
help-demo-keep = Keep both nodes' directories afterwards
help-doctor = Checks home, store, logs, clock and network, and says what to do
help-doctor-strict = Exit code 1 if something needs attention
help-doctor-more = Exit code 7 if data is damaged or a peer showed two histories.

help-set = Writes fields: all of them or none
help-set-fields = PATH[:TYPE]=VALUE, PATH=@FILE, or PATH alone (asks for the value, or reads stdin)
help-set-more = A value in an argument shows in the process list and in the shell's history: give PATH alone and type the value, or send it on stdin. One PATH takes all of stdin, several take a line each; one last line end is dropped. A value that begins with @ is written with two. TYPE is text, integer, decimal, boolean, date, instant, bytes, list or map; without it the kind's schema decides, else the field's present type, else it is text.
help-get = Own values, or those that a peer lends
help-get-more = One field alone is printed as its value and nothing else.
help-list = Records and their fields, without values
help-list-prefix = kind, or kind/id
help-history = Every version of a field
help-remove = Removes a field or a record, destroys its keys and tells who follows it
help-remove-more = What was lent before may be remembered, and backups made before still hold it.
help-import = Reads a file into records; doing it again changes nothing
help-import-file = vCard, iCalendar, JSContact, CSV, OFX, CAMT and others
help-import-format = Read it as this format [else it is recognised]
help-import-kind = Make records of this kind
help-import-dry-run = Say what would happen, and write nothing
help-import-strict = Exit code 1 if a part was skipped
help-export = Everything, as one JSON document
help-export-to = Into this new file, readable by you alone [else stdout]

help-invite = Shows an invitation, waits for the other side, and asks whether the words are the same
help-invite-png = Write the QR code to this PNG file
help-invite-svg = Write the QR code to this SVG file
help-invite-expires = How long it is good [else 2m]
help-accept = Accepts an invitation
help-accept-text = The invitation's text [else it is asked for, or read from stdin]
help-accept-image = A photo or screenshot of the QR code
help-invitations = Invitations of late
help-invitations-cancel = Cancels all that are open
help-peers = Who is paired with this node
help-peers-show = Everything about one peer
help-peers-rename = Gives a peer another name here
help-peers-rename-old = The name it has
help-peers-rename-new = The name it gets
help-sync = Syncs now, with all peers or with one
help-resume = Lets go on what a restore suspended; shows it first
help-resume-more = Possible once the peer was heard since. Fresh keys and the present values go out.
help-forget = Ends a relationship, and all that is lent both ways
help-forget-more = What was read before may be remembered.

help-ask = Asks a peer for fields
help-ask-paths = What is required: kind/id/field or kind/*/field
help-ask-optional = What is welcome and not required; may be repeated
help-ask-benefit = What the other side has from it
help-ask-withdraw = Withdraws an ask
help-asks = Asks, both ways
help-asks-incoming = Those that came here
help-asks-outgoing = Those of ours
help-asks-show = One ask, with the exact values that would leave
help-answer = Lends what was asked for, or a part of it
help-answer-only = Lend this; may be repeated [else what is required, and what you say yes to]
help-answer-until = End it earlier or later than asked
help-answer-more = The exact values are shown first. --yes without --only lends all that was asked for, optional fields too.
help-decline = Says no to an ask
help-grant = Lends fields to a peer; shows the values first
help-grant-lease = How long it may be read without hearing from you [else 7d]
help-grants = Every grant and its state
help-grants-given = What we lend
help-grants-held = What others lend us
help-grants-show = One grant, its entries and its uses
help-used = Uses that peers reported
help-revoke = Takes back a grant, some selectors of a peer, or all that it holds
help-revoke-target = A grant's id, or a peer's name
help-revoke-more = It is durable before it is answered. It stops what comes next: what was read before may be remembered.
help-access = Who holds a field, or what passes between us and a peer
help-access-target = kind/id/field, or a peer's name
help-log = All that passed, newest last; values never shown
help-log-since = From when: a duration back (24h), a date (its beginning) or RFC 3339
help-log-follow = Go on with what comes
help-log-verify = Check chains and signatures; exit code 7 while they do not hold
help-watch = Events as they happen
help-watch-until = End at the first event of this name

help-backup = Everything, sealed, into a file that the 24 words open
help-backup-file = The new file, readable by you alone
help-backup-force = In the place of a file that is there
help-backup-more = It shows one moment. While it is put together the node answers nobody: about a second for 100,000 records. What is removed later stays in it.
help-restore = Makes a node of a backup and the 24 words, where there is none
help-restore-file = What allod backup wrote
help-restore-phrase-file = The 24 words stand in this file, alone [else asked for, or on stdin]
help-restore-passphrase-file = The new passphrase stands in this file, alone
help-restore-no-passphrase = No passphrase: whoever reads the files reads everything
help-restore-engine = What keeps the store: sled or redb [else sled]
help-restore-more = Without --passphrase-file and --no-passphrase a new passphrase is asked for; without a terminal it is refused (6). Where the node listens is as after allod init. Exit code 7 if the file was cut short or changed.
help-passphrase = Gives the vault another passphrase, or none
help-passphrase-from-phrase = Open the vault with the 24 words, asked for or on stdin; needs no running node
help-passphrase-new-passphrase-file = The new passphrase stands in this file, alone
help-passphrase-no-passphrase = No passphrase from now on
help-completions = A script that completes commands for a shell
help-completions-shell = bash, zsh, fish, elvish or powershell
help-man = The manual page
help-man-verb = Of this command
help-man-to = Write all pages into this directory

## The demo.

demo-start = A node is made and started for { $name }, in { $home }.
demo-runs = It runs as process { $process }.
demo-import = Ana imports a contact file: { $file }.
demo-imported = { $record } is in; its city is { $city }.
demo-pair = Ana shows an invitation as a QR picture; the shop reads the picture, and both compare six words.
demo-words = Both screens show: { $words }
demo-refused = { $name } tries, and is refused: { $what }
demo-ask = The shop asks for city and email, and if possible for the phone number, to deliver goods.
demo-lend = Ana lends two of the three.
demo-reads = { $name } reads { $path }: { $value }
demo-change = Ana changes the city; the shop's copy follows.
demo-revoke = Ana takes both fields back, then changes the city again.
demo-purged = { $name } dropped its keys and its copies, and said so.
demo-limits = The shop can no longer read anything newer. What it read before, it may remember: no program can take that back.
demo-log = All that passed, as { $name } keeps it; the log's chain and signatures hold.
demo-done = { $steps } steps, each checked, in { $seconds } s.
demo-kept = Both nodes go on. To go on by hand:
demo-kept-node = allod --home { $home } status
demo-failed = The demo stopped at "{ $step }": { $why }
    .try = allod demo --keep, then look into the homes' log directories


## What passed between two nodes, a line each.

log-paired = confirmed the words; calls itself { $name } (unproven)
log-profile = changed name or addresses; calls itself { $name } (unproven)
log-asked = asked for { $selectors }, for { $purpose }
log-declined = declined { $ask }
log-withdrawn = withdrew { $ask }
log-granted = lent { $selectors }, for { $purpose } ({ $mode })
log-keys = fresh keys for { $selectors }
log-cells = { $count } { $count ->
    [1] value
   *[other] values
 } of { $selectors }{ $gone ->
    [0] {""}
   *[other] {" "}({ $gone } removed)
 }
log-revoked = took back { $selectors }
log-purged = dropped keys and copies of { $selectors }
log-purged-cells = dropped what was removed of { $selectors }
log-read = asked to read { $selectors }
log-served = answered with the value of { $selectors }
log-served-nothing = answered: nothing at { $selectors }
log-served-refused = refused to answer for { $selectors }
log-served-too-many = refused: too many reads of { $selectors }
log-used = used { $selectors } ({ $count } { $count ->
    [1] time
   *[other] times
 })
log-resumed = began anew after a restore, and said what goes on
log-closed = ended the relationship
log-unknown = said something that a newer program understands (kind { $kind })

## What a check of the logs finds.

verify-missing = Entry { $seq } of log { $log } with { $peer } is missing.
verify-broken = Entry { $seq } of log { $log } with { $peer } does not follow the one before it.
verify-signature = The signature of entry { $seq } in log { $log } with { $peer } does not hold.
verify-body = The content of entry { $seq } in log { $log } with { $peer } does not open, or was changed.
verify-head = Log { $log } with { $peer } does not end where it should, at entry { $seq }.
verify-fork = { $peer } showed two different histories, after entry { $seq } of log { $log }.
verify-counts = The store does not hold as many records as it counted ({ $seq }).

peer-unreachable = no answer at any of its addresses
peer-refused = it answered, and did not know this relationship
peer-clock = its clock and ours differ by more than two minutes
peer-misbehaved = what it sent does not hold, and was refused
log-rekey = a step of the monthly change of keys
