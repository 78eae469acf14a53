# Ce que dit le programme, en français. Un message par identifiant ; ce qu’on peut essayer est son attribut `.try`.
#
# Un fait nommé N vient avec `has-N`, qui vaut `yes` ou `no`. Dans `.try`, les noms et les chemins sont mis entre guillemets pour un shell
# quand il le faut. Les espaces insécables devant : ; ! ? et dans « » sont mises par le programme. Le catalogue anglais a les mêmes
# identifiants avec les mêmes faits : un test les compare.

## Refus du moteur.

bad-path = « { $path } » n’est pas un chemin : genre et champ sont faits de a à z, 0 à 9, _ . et -, et un id n’a ni / ni * ni = ni espace.
    .try = genre/id/champ, par exemple contact/me/email
needs-field = { $path } est une fiche, et il faut ici un champ.
    .try = allod list { $path }
bad-value = Ce qui est donné pour { $path } ne se lit pas comme { $expected ->
    [text] un texte
    [integer] un nombre entier
    [decimal] un nombre décimal
    [boolean] true ou false
    [date] une date
    [instant] un instant
    [bytes] du Base64
    [list] une liste
    [map] une table
   *[other] { $expected }
 }.
    .try = { $expected ->
        [integer] des chiffres seuls, par exemple 42
        [decimal] un point et pas d’espace, par exemple 1234.50
        [boolean] true ou false
        [date] année-mois-jour, par exemple 2026-12-31
        [instant] RFC 3339, par exemple 2026-12-31T18:00:00Z
        [bytes] { $path }:bytes=@FICHIER
        [list] une liste JSON, par exemple ["a","b"]
        [map] un objet JSON, par exemple {"{"}"a":"b"{"}"}
       *[other] un autre TYPE : { $path }:TYPE=VALEUR
    }
unknown-type = « { $word } » n’est pas un type de valeur.
    .try = text, integer, decimal, boolean, date, instant, bytes, list ou map
value-too-large = La valeur pour { $path } a { $bytes } octets ou plus, et le maximum est de 262 144.
    .try = plusieurs champs, ou un fichier plus petit
bad-shape = Les listes et les tables ne contiennent que des valeurs simples, 1 024 au plus ; ce qui est donné pour { $path } est autre chose.
    .try = un champ pour chaque liste de la liste
too-many-fields = { $record } a { $most } champs, le maximum pour une fiche.
    .try = une autre fiche
id-is-built-in = { $path } est l’id de la fiche elle-même : il existe dès le début, et personne ne l’écrit.
    .try = un autre nom pour le champ
no-record = Il n’y a pas de fiche { $record }.
    .try = allod list
no-field = { $record } n’a pas de champ « { $field } ».
    .try = { $has-nearest ->
        [yes] allod get { $record }/{ $nearest }
       *[no] allod list { $record }
    }
no-peer = Aucun contact ne s’appelle « { $name } ».
    .try = allod peers
bad-petname = « { $name } » ne peut pas être le nom d’un contact : il est vide ou trop long, contient une barre oblique ou un caractère de contrôle, ou commence comme un id.
    .try = un nom court, par exemple acme
petname-taken = Un autre contact s’appelle déjà « { $name } ».
    .try = allod peers
ambiguous-id = « { $beginning } » convient à plusieurs : { $fits }.
    .try = taper un caractère de plus
no-such-grant = Aucun prêt n’a l’id { $id }.
    .try = allod grants
no-such-ask = Aucune demande n’a l’id { $id }.
    .try = allod asks
ask-is-over = La demande { $id } est déjà { $state ->
    [granted] accordée
    [partly] accordée en partie
    [declined] refusée
    [withdrawn] retirée
   *[other] close
 }.
    .try = allod asks show { $id }
own-ask = La demande { $id } est la vôtre ; c’est l’autre côté qui y répond.
    .try = allod ask withdraw { $id }
not-own-ask = La demande { $id } vient de l’autre côté, qui seul peut la retirer.
    .try = allod decline { $id }
not-asked = { $selector } n’est pas dans cette demande.
    .try = allod asks show DEMANDE
too-many-asks = { $peer } a { $most } demandes ouvertes de vous, le maximum à la fois.
    .try = allod asks --out
no-grant = { $peer } ne vous prête rien à { $path }.
    .try = allod ask { $peer } { $path } --purpose FINALITÉ
nothing-lent = { $peer } n’a rien de vous à { $selector }.
    .try = allod access { $peer }
taken-back = { $peer } a repris { $path } le { $at }.
    .try = allod grants --held { $peer }
grant-is-over = Le prêt { $id } est terminé : { $state ->
    [revoked] il a été repris
    [expired] il a pris fin comme convenu
   *[other] il a pris fin
 }.
    .try = allod grants show { $id }
grant-expired = Ce que { $peer } prêtait à { $path } a pris fin le { $at }, comme convenu.
    .try = allod ask { $peer } { $path } --purpose FINALITÉ, si vous en avez encore besoin
grant-not-yet = Ce que { $peer } prête à { $path } commence le { $at }.
    .try = la même chose à ce moment-là
lease-over = Plus de nouvelles de { $peer } depuis le { $heard }, et le délai a pris fin le { $ended }.
    .try = allod peers show { $peer }
not-arrived = { $peer } vous prête { $path }, et sa valeur n’est pas encore arrivée.
    .try = allod sync { $peer }
no-live-answer = Ceci se lit en direct, et { $peer } n’a pas répondu.
    .try = allod peers show { $peer }
too-many-reads = { $path } de { $peer } a été lu { $most } fois en une heure, le maximum.
    .try = la même chose dans une heure
unknown-purpose = « { $word } » n’est pas une finalité que ce nœud connaît. Proches : { $nearest }.
    .try = --purpose avec l’une d’elles
bad-end = Cette fin est passée, ou plus lointaine qu’une fin ne peut l’être.
    .try = --until 30d
bad-lease = Un délai dure de { $least_s } à { $most_s } secondes.
    .try = --lease 7d
bad-selection = Une demande ou un prêt porte sur un à { $most } sélecteurs.
    .try = genre/id/champ ou genre/*/champ, par exemple contact/me/email
text-too-long = { $what ->
    [reason] La raison dépasse la longueur permise
    [benefit] L’avantage dépasse la longueur permise
    [name] Le nom dépasse la longueur permise
   *[other] Le texte dépasse la longueur permise
 } : { $most } octets au plus.
    .try = moins de mots
forked = { $peer } a montré deux histoires différentes ; les deux sont gardées, et plus rien ne s’échange avec ce contact.
    .try = allod log { $peer } --verify
peer-closed = La relation avec { $peer } est close.
    .try = allod invite
peer-restored = Ce nœud a été rétabli d’une sauvegarde, et ce que vous prêtez à { $peer } est suspendu.
    .try = allod resume { $peer }
not-heard-yet = Pas de nouvelles de { $peer } depuis que ce nœud a été rétabli : des changements que la sauvegarde ignore ont pu lui être dits.
    .try = de nouveau quand { $peer } sera en ligne (allod peers)
lent-not-heard = Pas de nouvelles de { $peer } depuis que ce nœud a été rétabli : ce qui est prêté a pu être repris entre-temps.
    .try = de nouveau quand { $peer } sera en ligne (allod peers)
not-suspended = Rien de ce que vous prêtez à { $peer } n’est suspendu.
    .try = allod grants --given { $peer }
peer-pending = L’appairage avec { $peer } n’est pas terminé : les deux personnes doivent le confirmer.
    .try = allod invite
too-many-open = { $most } invitations ou appairages sont ouverts, le maximum à la fois.
    .try = allod invitations cancel
not-an-invitation = Ceci n’est pas une invitation : elle commence par « { $begins } », et une invitation commence par « ALLOD: ».
    .try = le texte que montre allod invite
invitation-cut = Ceci est le début d’une invitation ; la fin manque.
    .try = la copier en entier, ou utiliser --image
invitation-damaged = Un caractère de cette invitation est faux.
    .try = la copier de nouveau, ou utiliser --image
invitation-newer = Cette invitation vient d’un Allod plus récent (format { $version }).
    .try = un Allod plus récent ici aussi
invitation-expired = { $seconds ->
    [0] Cette invitation n’est plus valable.
    [one] Cette invitation a pris fin il y a { $seconds } seconde.
   *[other] Cette invitation a pris fin il y a { $seconds } secondes.
 }
    .try = demander à l’autre côté de relancer allod invite
invitation-used = Cette invitation a déjà servi. Si ce n’était pas vous, quelqu’un d’autre a essayé.
    .try = en demander une nouvelle, par un autre canal
invitation-own = Cette invitation est la vôtre.
    .try = allod accept sur le nœud de l’autre personne
inviter-silent = Personne n’a répondu aux adresses de cette invitation.
    .try = allod invite en cours de l’autre côté, et les deux sur un réseau qui les relie
no-address = Ce nœud n’écoute nulle part où un autre puisse l’atteindre ; il ne peut donc pas inviter.
    .try = allod run --listen /ip4/0.0.0.0/tcp/4001, ou laisser l’autre côté inviter
pairing-failed = L’autre côté n’est pas celui qui a fait cette invitation, ou la connexion s’est interrompue.
    .try = une nouvelle invitation
words-differ = Pas d’appairage : vous avez dit que les mots diffèrent.
    .try = une nouvelle invitation, vue sur l’écran même de l’autre personne
other-declined = Pas d’appairage : l’autre personne a dit non.
    .try = une nouvelle invitation, si les deux le veulent
pairing-timed-out = Pas d’appairage : personne n’a confirmé à temps.
    .try = une nouvelle invitation, les deux personnes devant leur écran
no-such-pairing = Il n’y a pas d’appairage ni d’invitation de ce nom.
    .try = allod invitations
pairing-cancelled = Pas d’appairage : l’invitation a été annulée.
    .try = allod invite
disk-full = Le disque est plein ; rien de ce changement n’a été gardé.
    .try = libérer de la place, puis recommencer
store-failed = La base n’a pas pu être écrite, et le nœud s’arrête ; rien de ce changement n’a été gardé.
    .try = allod doctor
damaged = La base est abîmée.
    .try = allod restore FICHIER avec un autre --home, ou une copie antérieure de ce dossier, remise à sa place
locked = Le coffre est fermé.
    .try = allod unlock
busy = Le nœud a trop à faire pour une requête de plus.
    .try = la même chose dans un instant

## Refus du programme autour du moteur.

node-no-home = Il n’y a pas encore de nœud dans { $home }.
    .try = allod init
node-home-exists = Il y a déjà un nœud dans { $home }.
    .try = la même commande avec un autre --home
node-home-not-empty = { $home } contient autre chose, et pas de nœud.
    .try = la même commande avec un autre --home
node-home-half-made = La création du nœud dans { $home } a été interrompue.
    .try = allod init, ou allod restore FICHIER, depuis le début
node-home-open-to-others = D’autres utilisateurs de cette machine peuvent entrer dans { $path } (mode { $mode }).
    .try = chmod go-rwx { $path }
node-home-newer = Ce répertoire a été écrit par un Allod plus récent (format { $version }). Il n’a pas été touché.
    .try = un Allod plus récent
node-home-io = { $path } n’a pas pu être lu ou écrit : { $detail }.
    .try = allod doctor
node-home-moved = { $home } a été déplacé, remplacé ou retiré pendant que son nœud tournait ; le nœud s’est arrêté.
    .try = remettre le répertoire à sa place, puis allod run
node-too-few-files = Ce processus ne peut avoir que { $allowed } fichiers ouverts à la fois ; il en faut { $least } à un nœud.
    .try = une limite plus haute (ulimit -n), puis recommencer
node-already-running = Ce répertoire est utilisé par un autre nœud en marche (processus { $process }).
    .try = allod status
node-bad-settings = { $path } ne se lit pas : { $why }.
    .try = corriger cette ligne, ou l’enlever
node-settings-gone = { $path } a disparu, alors que le coffre à côté est là.
    .try = ce fichier, d’une copie de ce dossier ou d’un autre nœud, avec le store.engine de celui-ci
node-socket-path-too-long = Le chemin de la prise de commande, { $path }, dépasse les { $most } octets permis.
    .try = allod --home avec un répertoire plus court
node-secrets-would-be-logged = SSLKEYLOGFILE est défini : les clés de toutes les connexions seraient écrites dans ce fichier.
    .try = env -u SSLKEYLOGFILE allod run
node-network-failed = Le réseau n’a pas pu démarrer : { $why }.
    .try = allod run --listen avec un autre port
node-no-vault = { $home } ne contient pas de coffre.
    .try = allod restore FICHIER avec un autre --home, ou une copie antérieure de ce dossier, remise à sa place
node-vault-damaged = Le coffre est abîmé et n’a pas été ouvert.
    .try = allod restore FICHIER avec un autre --home, ou une copie antérieure de ce dossier, remise à sa place
node-vault-newer = Le coffre a été écrit par un Allod plus récent (format { $version }). Il n’a pas été touché.
    .try = un Allod plus récent
node-wrong-passphrase = Cette phrase de passe n’ouvre pas ce coffre.
    .try = de nouveau, ou allod passphrase --from-phrase avec les 24 mots
node-wrong-phrase = Cette phrase de secours n’ouvre pas ce coffre.
    .try = de nouveau, ou la phrase montrée à la création de ce répertoire
node-bad-phrase = Ceci n’est pas une phrase de secours : { $why }.
    .try = les 24 mots montrés par allod init, dans leur ordre
node-no-passphrase = Le coffre est fermé, et il n’y a pas de terminal pour demander sa phrase de passe.
    .try = allod run --passphrase-file FICHIER
node-passphrase-file = Le fichier de phrase de passe { $path } ne se lit pas : { $detail }.
    .try = --passphrase-file avec un fichier que vous pouvez lire
node-too-little-memory = Vérifier une phrase de passe demande { $kib } Kio de mémoire, qui ne sont pas là.
    .try = arrêter un autre programme, puis recommencer
node-bad-name = Le nom d’un nœud a de 1 à { $most } octets, sans barre oblique ni caractère de contrôle.
    .try = --name avec un nom court
node-bad-passphrase = Une phrase de passe a de 1 à { $most } octets.
    .try = une phrase dont vous vous souviendrez
node-no-passphrase-set = Ce répertoire n’a pas de phrase de passe.
    .try = allod passphrase
node-clock-before-1970 = L’horloge de cet ordinateur indique une date d’avant 1970 ; un nœud ne peut pas fonctionner ainsi.
    .try = mettre l’horloge à l’heure, puis recommencer
node-store-damaged = La base est abîmée et n’a pas été ouverte : { $detail }.
    .try = allod restore FICHIER avec un autre --home, ou une copie antérieure de ce dossier, remise à sa place
node-store-io = La base n’a pas pu être lue ou écrite : { $detail }.
    .try = allod doctor
node-stopping = Le nœud est en train de s’arrêter.
    .try = allod run
node-engine-fault = Le nœud a trouvé quelque chose d’impossible, et s’est arrêté : { $detail }.
    .try = allod doctor
node-no-route = L’interface de commande n’a rien à { $path }.
    .try = /v1/openapi.json
node-no-method = L’interface de commande connaît { $path }, mais pas avec cette méthode.
    .try = /v1/openapi.json
node-bad-body = Le corps n’est pas le JSON attendu ici : { $why }.
    .try = /v1/openapi.json
node-bad-parameter = Le paramètre « { $name } » { $why }.
    .try = /v1/openapi.json
node-body-too-large = La requête dépasse { $most } octets.
    .try = plusieurs plus petites
node-too-slow = La requête n’est pas arrivée en { $seconds } { $seconds ->
    [one] seconde
   *[other] secondes
 }.
    .try = la même chose de nouveau
node-too-many-watchers = { $most } programmes observent déjà ce nœud, le maximum.
    .try = en arrêter un
node-other-user = Seul l’utilisateur qui fait tourner ce nœud peut le commander.
    .try = la même chose sous cet utilisateur
node-bad-time = « { $text } » n’est pas un moment.
    .try = RFC 3339, par exemple 2026-12-31T18:00:00Z
node-import-too-large = Le fichier a { $bytes } octets, et le maximum est de { $most }.
    .try = couper le fichier, et importer les parties une à une
node-import-too-many-records = Le fichier contient plus de { $most } fiches.
    .try = couper le fichier, et importer les parties une à une
node-import-item-too-large = L’élément { $item } du fichier dépasse { $most } octets ; ce n’est pas une fiche.
    .try = mettre les objets du fichier dans une seule liste, ou un par ligne
node-import-too-many-columns = Le tableau a { $columns } colonnes, et le maximum est de { $most }.
    .try = enlever des colonnes, et importer le reste
node-import-unknown = Le fichier semble être { import-looks-like }, ce qui ne s’importe pas.
    .try = allod import FICHIER --format vcard|csv|json, si c’en est un
node-import-needs-kind = Un fichier { $format } ne dit pas de quel genre sont ses fiches.
    .try = allod import FICHIER --kind contact|transaction|consumption|document|…
node-import-no-header = La ligne { $line } devrait nommer les colonnes, mais « { $cell } » n’est pas un nom.
    .try = ajouter une première ligne qui nomme les colonnes, comme date;montant;description
node-import-broken = Le JSON est abîmé à la ligne { $line }, colonne { $column } : { $fault ->
    [cut] il s’arrête au milieu
    [value] il y faudrait une valeur
    [separator] il y faudrait une virgule, deux points ou une parenthèse fermante
    [trailing-comma] il y a une virgule, et rien derrière
    [name] il y faudrait un nom entre guillemets
    [number] il y a un nombre qui n’en est pas un
    [text] il y a un texte qui n’est pas écrit comme le veut JSON
    [more] il y a encore quelque chose après sa fin
    [too-deep] il est imbriqué trop profondément
    [records] il y faudrait une liste de fiches
   *[other] il y faudrait autre chose
 }.
    .try = l’exporter de nouveau de là où il vient ; ce fichier est abîmé ou coupé
node-import-newer = Cet export est de la version { $version }, et ce nœud lit la version 1.
    .try = un Allod plus récent, puis importer de nouveau
node-import-nothing = { $has-skip ->
    [yes] Aucune fiche de ce fichier ne peut être importée{"\u202F"}; { import-where } : { $skip }
   *[no] Aucune fiche n’a été trouvée dans { import-looks-like }
 }.
    .try = ouvrir le fichier pour voir ce qu’il contient, ou nommer son format avec --format
node-backup-under-way = Une autre sauvegarde est en train d’être faite ou lue.
    .try = la même chose quand elle sera finie
node-backup-no-room = Il n’y a pas de place pour la sauvegarde, qui est d’abord assemblée dans { $home }.
    .try = libérer de la place, puis recommencer
node-no-backup = { $path } n’est pas une sauvegarde.
    .try = un fichier écrit par allod backup
node-backup-newer = { $path } a été écrit par un Allod plus récent (format { $version }).
    .try = un Allod plus récent
node-backup-damaged = { $path } a été coupé ou modifié depuis qu’il a été écrit ; rien n’en a été repris.
    .try = une autre copie, ou une autre sauvegarde
node-backup-wrong-phrase = Ces 24 mots n’ouvrent pas { $path }.
    .try = les mots montrés par allod init pour le répertoire sauvegardé
node-backup-unread = { $path } n’a pas pu être lu : { $detail }.
    .try = une autre copie
node-internal = Une faute dans le nœud : { $what }.
    .try = allod doctor

## Refus de la ligne de commande elle-même.

cli-not-running = Aucun nœud n’est en marche pour { $home }.
    .try = allod run
cli-no-node-here = { $home } ne contient pas de nœud.
    .try = allod init
cli-not-yours = Le nœud dans { $home } appartient à un autre utilisateur.
    .try = la même chose sous cet utilisateur
cli-socket-failed = La prise de commande dans { $home } est inutilisable : { $why }.
    .try = allod doctor
cli-node-silent = Le nœud dans { $home } n’a pas répondu en { $seconds } { $seconds ->
    [one] seconde
   *[other] secondes
 }.
    .try = allod doctor
cli-node-broke-off = Le nœud dans { $home } s’est interrompu : { $why }.
    .try = allod doctor
cli-node-stopped = Le nœud s’est arrêté.
    .try = allod run
cli-fault = Une faute dans cette commande : { $why }.
    .try = la même chose de nouveau, et le dire aux auteurs si cela revient
cli-output-failed = La réponse n’a pas pu être écrite : { $why }. Ce qui était demandé a pu être fait.
    .try = libérer de la place, puis allod log
cli-phrase-unseen = La phrase de récupération n’a pas pu être montrée : cette sortie est pleine, ou personne ne la lit. Le nœud dans { $home } n’est pas terminé.
    .try = allod init, là où vous lisez ce qu’il dit
cli-no-home-directory = On ne sait pas où est votre répertoire personnel.
    .try = allod --home RÉPERTOIRE
cli-no-such-file = Il n’y a pas de fichier { $path }.
    .try = un autre chemin
cli-no-such-directory = Il n’y a pas de dossier { $path } ; rien n’a été écrit.
    .try = mkdir { $path }, ou un autre chemin
cli-file-exists = { $path } existe déjà, et n’est pas écrasé.
    .try = un autre nom
cli-no-space = Le disque est plein ; { $path } n’a pas été écrit.
    .try = libérer de la place, puis recommencer
cli-file-failed = { $path } n’a pas pu être lu ou écrit : { $why }.
    .try = un autre chemin
cli-file-too-large = { $path } dépasse les { $mebibytes } Mio permis pour un import.
    .try = un fichier plus petit, en plusieurs imports
cli-too-much-at-once = Toutes les valeurs ensemble dépassent les { $most } octets d’une commande.
    .try = plusieurs commandes
cli-ask-no-value = Il n’y a pas encore de valeur pour { $missing }, et ce qui n’est pas là ne se prête pas.
    .try = { $has-lent ->
        [yes] allod answer { $ask } { $lent }
       *[no] allod set { $path }
    }
cli-import-skipped = { $count } { $count ->
    [one] partie a été sautée
   *[other] parties ont été sautées
 }, et --strict était donné.
    .try = sans --strict, pour continuer sans elles
cli-backup-needs-file = Une sauvegarde va dans un fichier à elle, et pas sur la sortie standard.
    .try = allod backup FICHIER
cli-needs-yes = Cette commande demande un oui, et il n’y a pas de terminal où le demander.
    .try = la même chose avec --yes
cli-not-confirmed = Rien n’a été fait.
    .try = la même chose de nouveau, et oui
cli-no-terminal = Le coffre est fermé, et il n’y a pas de terminal pour demander sa phrase de passe.
    .try = la même chose avec --passphrase-file FICHIER
cli-passphrases-differ = Les deux phrases de passe diffèrent.
    .try = la même chose de nouveau
cli-no-value = Il n’y a pas de valeur pour { $path }.
    .try = { $path }=VALEUR, ou la valeur sur l’entrée standard
cli-lines-and-paths = { $paths } chemins attendent une valeur, et l’entrée standard a { $lines } { $lines ->
    [one] ligne
   *[other] lignes
 }.
    .try = une ligne par chemin
cli-bad-time = « { $text } » n’est pas un moment pour { $option }.
    .try = 30d, 2026-12-31 ou 2026-12-31T18:00:00Z
cli-bad-duration = « { $text } » n’est pas une durée pour { $option }.
    .try = 10s, 10m, 24h, 30d ou 1y
cli-bad-cursor = « { $cursor } » n’est pas un endroit de cette liste.
    .try = sans --after
cli-nothing-asked = Une demande nomme au moins un champ.
    .try = allod ask CONTACT contact/me/email --purpose FINALITÉ
cli-nothing-chosen = Rien de la demande { $ask } n’a été choisi.
    .try = allod decline { $ask }
cli-revoke-selectors-of-peer = { $grant } est un prêt, et se reprend en entier.
    .try = allod revoke CONTACT SÉLECTEUR
cli-unknown-event = « { $event } » n’est pas un événement. Il y a : { $events }.
    .try = --until avec l’un d’eux
cli-log-not-whole = Les journaux ne se tiennent pas.
    .try = allod doctor
cli-doctor-found = { $count } { $count ->
    [one] vérification demande
   *[other] vérifications demandent
 } votre attention.
    .try = ce qui est sous chacune d’elles
cli-not-a-picture = { $file } n’est pas une image PNG ou JPEG.
    .try = une photo ou une capture d’écran, ou coller le texte
cli-picture-too-large = { $file } est plus grand qu’une image ne peut l’être.
    .try = une image plus petite, ou coller le texte
cli-no-code = Aucun code QR n’a pu être lu dans { $file } ({ $width } x { $height }).
    .try = plus près, plus droit, ou coller le texte
cli-other-code = L’image contient un code QR, mais pas une invitation Allod (il commence par « { $begins } »).
    .try = une image du code que montre allod invite
cli-code-too-long = L’invitation est plus longue que ce qu’un code QR peut contenir.
    .try = moins d’adresses : allod run avec un seul --listen

## Mauvais usage.

cli-no-verb = Il manque une commande.
    .try = allod --help
cli-unknown-verb = Il n’y a pas de commande « { $verb } ».
    .try = { $help }
cli-unknown-verb-near = Il n’y a pas de commande « { $verb } ». Proche : { $nearest }.
    .try = { $help }
cli-unknown-option = « { $option } » n’est pas attendu ici.
    .try = { $help }
cli-unknown-option-near = « { $option } » n’est pas attendu ici. Proche : { $nearest }.
    .try = { $help }
cli-missing = Il manque quelque chose : { $option }.
    .try = { $help }
cli-option-needs-value = { $option } demande une valeur.
    .try = { $help }
cli-bad-option-value = « { $value } » n’est pas une valeur pour { $option }.
    .try = { $help }
cli-bad-option-word = « { $value } » n’est pas une valeur pour { $option }. Il y a : { $valid }.
    .try = { $help }
cli-option-twice = { $option } est donné deux fois.
    .try = { $help }
cli-options-conflict = { $option } et { $other } ne vont pas ensemble.
    .try = { $help }
cli-too-many-values = Il y a trop de valeurs pour { $option }.
    .try = { $help }
cli-not-utf8 = Un argument n’est pas en UTF-8.
    .try = { $help }
cli-wrong-usage = Cette commande ne s’utilise pas ainsi.
    .try = { $help }

## Cadres.

label-try = essayez :{" "}
label-colon = { "" } :{" "}
interrupted = Arrêté.
more-follow = Il y en a d’autres : --after { $cursor }
ask-yes-no = [o/N]
ask-again = Répondez par o ou n.
ask-value = Valeur pour { $path } :{" "}
ask-invitation = Invitation (le texte qui commence par ALLOD:) :{" "}
ask-passphrase = Phrase de passe du coffre dans { $home } :{" "}
ask-new-passphrase = Nouvelle phrase de passe du coffre :{" "}
ask-passphrase-again = La même de nouveau :{" "}
ask-phrase = Phrase de secours (24 mots) :{" "}

## Le nœud.

init-done = Un nœud pour { $name } se trouve dans { $home }.
init-phrase = Ces 24 mots l’ouvrent quand la phrase de passe est oubliée. Écrivez-les sur papier ; ils ne seront plus montrés.
init-next = Ensuite : allod run
backup-done = { $file } : { $records } { $records ->
    [one] fiche
   *[other] fiches
 }, { $kib } Kio, en date du { $at }.
backup-words = Les 24 mots de ce répertoire l’ouvrent ; sans eux personne ne le peut, pas même vous.
restore-done = { $name } est de retour dans { $home } : { $records } { $records ->
    [one] fiche
   *[other] fiches
 } et { $peers } { $peers ->
    [one] contact
   *[other] contacts
 }, en date du { $at }.
restore-removed = Ce qui a été retiré après cette date est de retour aussi ; ce qui a été écrit après ne l’est pas.
restore-suspended = Ce que vous prêtez est suspendu : rien ne part vers un contact avant que vous disiez allod resume CONTACT, une fois qu’il aura donné de ses nouvelles.
restore-old-node = Si le dossier d’où cela vient existe encore, son nœud ne doit plus tourner : les contacts qui ont parlé à celui-ci le refusent.
stop-done = Le nœud s’est arrêté.
lock-done = Le coffre est fermé : les clés ont quitté la mémoire jusqu’à allod unlock.
unlock-done = Le coffre est ouvert.
passphrase-changed = Le coffre a une nouvelle phrase de passe.
passphrase-removed = Le coffre n’a plus de phrase de passe : qui lit les fichiers de ce répertoire lit tout ce qu’il contient.
status-up = { $name } est en marche depuis { $up } (Allod { $version }).
status-sealed = Le coffre est fermé. Pour l’ouvrir : allod unlock
status-disk-short = Le disque est presque plein : ce qu’envoient les autres nœuds n’est pas reçu. Voir : allod doctor
status-problem = Dernier problème : { $problem }
status-records = Fiches
status-records-value = { $records } avec { $fields } { $fields ->
    [one] champ
   *[other] champs
 }
status-grants = Prêts
status-grants-value = { $given } donnés, { $held } reçus
status-peers = Contacts
status-peers-value = { $paired } appairés, { $online } en ligne
status-due = En attente
status-due-value = { $due } { $due ->
    [one] valeur
   *[other] valeurs
 } pour des contacts qui ne les ont pas encore
status-store = Base
status-store-value = { $kib } Kio
status-memory = Mémoire
check-ok = bien : { $name } : { $detail }
check-not-ok = à voir : { $name } : { $detail }
check-home = répertoire
check-vault = coffre
check-store = base
check-disk = disque
check-logs = journaux
check-clock = horloge
check-reachability = accessibilité
check-peers = contacts
check-node = nœud
check-memory = mémoire

## Ce que trouve doctor.

doctor-home-ok = à vous seul
doctor-home-open = D’autres utilisateurs de cette machine peuvent entrer dans { $path } (mode { $mode }).
    .try = chmod go-rwx { $path }
doctor-home-odd = Le répertoire n’est pas comme il doit être : { $detail }
    .try = allod --home avec le bon répertoire
doctor-not-running = Le nœud ne tourne pas : base, journaux et réseau n’ont pas été regardés.
    .try = allod run
doctor-vault-ok = protégé par une phrase de passe
doctor-vault-unprotected = sans phrase de passe : qui lit les fichiers de ce répertoire lit tout
    .try = allod passphrase
doctor-vault-bad = Le coffre ne se lit pas ({ $detail }).
    .try = allod restore FICHIER avec un autre --home, ou une copie antérieure de ce dossier, remise à sa place
doctor-store-ok = { $engine }, { $bytes } octets
doctor-store-damaged = La base est abîmée : { $detail }
    .try = allod restore FICHIER avec un autre --home, ou une copie antérieure de ce dossier, remise à sa place
doctor-store-unreadable = La base ne se lit pas : { $detail }
    .try = allod stop, puis allod run
doctor-disk-ok = { $free } Mio libres
doctor-disk-short = Il ne reste que { $free } Mio sur le disque : ce qu’envoient les autres nœuds n’est pas reçu tant qu’il n’y en a pas { $kept }.
    .try = libérez de la place sur ce disque ; ce que vous écrivez et reprenez vous-même fonctionne toujours
doctor-disk-unknown = le système ne dit pas combien de place il reste
doctor-logs-ok = { $entries ->
    [one] { $entries } entrée se tient
   *[other] { $entries } entrées se tiennent
 }
doctor-logs-gaps = { $gaps } { $gaps ->
    [one] trou
   *[other] trous
 } dans { $entries } entrées
    .try = allod log --verify
doctor-logs-locked = pas regardés : le coffre est fermé
    .try = allod unlock
doctor-logs-failed = n’ont pas pu être regardés ({ $detail })
    .try = allod log --verify
doctor-clock-ok = plausible
doctor-clock-early = L’horloge montre un moment d’avant ce programme.
    .try = mettre l’horloge à l’heure
doctor-clock-back = L’horloge a { $seconds } secondes de retard sur le fichier le plus récent de ce répertoire.
    .try = mettre l’horloge à l’heure
doctor-clock-peers = Les horloges de { $peers } et de cette machine diffèrent.
    .try = mettre l’horloge à l’heure ici, ou leur demander de le faire
doctor-listen-ok = à l’écoute à { $addresses } { $addresses ->
    [one] adresse
   *[other] adresses
 }
doctor-listen-local = Seule cette machine atteint ce nœud.
    .try = allod run --listen /ip4/0.0.0.0/tcp/4001
doctor-listen-none = Ce nœud n’écoute nulle part : il peut appeler, et personne ne peut l’appeler.
    .try = allod run --listen /ip4/0.0.0.0/tcp/4001
doctor-peers-ok = { $peers } appairés, { $online } en ligne
doctor-peers-waiting = Pas atteints : { $peers }
    .try = allod peers show CONTACT
doctor-peers-frozen = Deux histoires différentes ont été montrées par { $peers }.
    .try = allod log CONTACT --verify
doctor-peers-restored = Ce nœud a été rétabli d’une sauvegarde ; ce que vous prêtez est suspendu pour { $peers }.
    .try = allod resume CONTACT
doctor-peers-locked = pas regardés : le coffre est fermé
    .try = allod unlock
doctor-memory-ok = les clés restent hors du fichier d’échange
doctor-memory-swappable = le système laisse écrire des clés dans le fichier d’échange

## Fiches.

set-done = { $count } { $count ->
    [one] champ écrit
   *[other] champs écrits
 }.
remove-preview = { $record } avec tous ses champs et leurs versions : { $fields }
remove-ask = Retirer { $record } et détruire ses clés ?
remove-done = { $count } { $count ->
    [one] champ retiré
   *[other] champs retirés
 }. Les sauvegardes faites avant contiennent encore ce qu’elles contenaient.
import-done = { $records } { $records ->
    [one] fiche
   *[other] fiches
 } ({ $format }) : nouvelles { $new }, changées { $changed }, inchangées { $unchanged }, parties sautées { $skipped }.
import-would = Seraient lues : { $records } { $records ->
    [one] fiche
   *[other] fiches
 } ({ $format }) : nouvelles { $new }, changées { $changed }, inchangées { $unchanged }, parties sautées { $skipped }. Rien n’a été écrit.
import-progress = { $percent } % lus
import-more-skipped = Et { $count } de plus : allod import { $file } --dry-run --json
import-where = { $place ->
    [line] ligne { $line }
    [item] élément { $item }
    [record] fiche { $item }
    [record-field] fiche { $item }, { $field }
   *[further-on] plus loin
 }
import-looks-like = { $looks_like ->
    [pdf] un PDF
    [zip] une archive ZIP ou un document de bureautique
    [gzip] une archive gzip
    [picture] une image
    [sqlite] une base SQLite
    [old-office] un ancien document de bureautique
    [empty] un fichier vide
    [binary] des données binaires
    [calendar] un calendrier
    [ofx] un fichier bancaire OFX
    [qif] un fichier bancaire QIF
    [invitation] une invitation
    [markup] du XML ou du HTML
    [plain-text] du texte simple
    [cut-cards] un fichier vCard sans une seule carte entière
    [no-cards] un fichier sans BEGIN:VCARD
    [no-rows] un tableau sans une seule ligne entière sous son en-tête
    [no-objects] du JSON sans un seul objet qui contienne une valeur
    [no-records] un export sans fiches
   *[other] autre chose
 }
import-skip-above-header = est au-dessus de la ligne qui nomme les colonnes
import-skip-open-quote = un guillemet s’ouvre ici et ne se ferme jamais
import-skip-open-quotes = un guillemet s’ouvre ici et ne se ferme jamais ; sauté jusqu’à la ligne { $last_line }
import-skip-other-width = a { $cells } { $cells ->
    [one] cellule
   *[other] cellules
 } là où l’en-tête en a { $columns }
import-skip-too-many-fields = a { $fields } champs ; le maximum est de { $most }
import-skip-no-value = ne contient aucune valeur
import-skip-same-row = est la même qu’une ligne plus haut
import-skip-same-item = est le même qu’un élément plus haut
import-skip-same-card = la carte qui commence ici est la même qu’une autre plus haut
import-skip-value-too-large = « { $what } » dépasse ce que peut être une valeur (256 Kio, 1 024 éléments)
import-skip-no-object = est { $noun ->
    [null] null
    [boolean] true ou false
    [number] un nombre
    [text] un texte
    [array] une liste
   *[other] autre chose
 }, et non un objet
import-skip-no-record = n’a pas de « record » de la forme genre/id, ou pas de « fields »
import-skip-other-kind = est du genre { $kind }, et seul { $wanted } était demandé
import-skip-no-name = « { $text } » n’est pas un nom : a à z, puis a à z, 0 à 9, _ . -, 64 au plus
import-skip-own-id = le champ « id » est celui de la fiche elle-même
import-skip-no-type = « { $word } » n’est pas un type
import-skip-not-of-type = « { $text } » n’est pas une valeur du type { $expected }
import-skip-bad-shape = les listes et les tables ont jusqu’à { $most } valeurs simples, et les noms d’une table sont dans l’ordre
import-skip-card-cut-off = la carte qui commence ici est coupée : elle n’a pas de END:VCARD
import-skip-card-too-long = la carte qui commence ici a plus de { $most } propriétés
import-skip-empty-card = la carte qui commence ici est vide
import-skip-outside-cards = { $lines ->
    [one] est en dehors de toute carte
   *[other] { $lines } lignes à partir d’ici sont en dehors de toute carte
 }
import-skip-property-too-large = la propriété a { $bytes } octets ; le maximum est de { $most }
import-skip-no-colon = n’a pas de deux-points ; ce n’est pas une propriété
import-skip-unreadable = la valeur de { $property } ne se lit pas
import-skip-record-full = { $property } : une fiche a { $most } champs au plus
import-skip-more = { $count } de plus { $count ->
    [one] a été laissée
   *[other] ont été laissées
 } de côté pour des raisons semblables
export-done = { $count } { $count ->
    [one] fiche écrite
   *[other] fiches écrites
 } dans { $file }.
no-records = Il n’y a pas de fiches.
nothing-lent-here = Rien ne vous y est prêté.
no-versions = Il n’y a pas de versions.

## Appairage.

invite-how = Montrez ceci à l’autre personne, ou envoyez-le ; là-bas : allod accept
    Valable jusqu’au { $expires }, tant que cette commande tourne.
invite-too-small = Cette fenêtre est trop petite pour le code QR : allod invite --png FICHIER
invite-picture = Le code QR est dans { $file }.
accept-calling = Appel de l’autre côté…
pairing-compare = Les deux écrans doivent montrer les mêmes mots :
pairing-ask = L’autre écran montre-t-il les mêmes ?
pairing-waiting = En attente de la confirmation de l’autre personne…
pairing-done = Appairé avec { $peer }. Rien n’est encore prêté.
pairing-next = Ensuite : allod grant { $peer } SÉLECTEUR --purpose FINALITÉ
pairing-others = { $count ->
    [one] Quelqu’un d’autre a essayé cette invitation une fois.
   *[other] Quelqu’un d’autre a essayé cette invitation, { $count } fois.
 } Si ce n’était pas vous, demandez-en une nouvelle par un autre canal.
invitations-cancelled = Toutes les invitations ouvertes sont annulées.
no-invitations = Il n’y a pas d’invitations.
no-peers = Il n’y a pas de contacts.
calls-itself = { $name } (non prouvé)
online = en ligne
never-seen = pas encore vu
peer-renamed = { $old } s’appelle ici { $new } désormais.
sync-started = { $has-peer ->
    [yes] Synchronisation avec { $peer }.
   *[no] Synchronisation avec tous les contacts.
 }
no-grants-with = Rien n’est prêté entre vous et { $peer }.
resume-ask = Laisser continuer tout ce qui est suspendu, avec les valeurs actuelles ?
resume-done = { $count } { $count ->
    [one] prêt continue
   *[other] prêts continuent
 }.
forget-ask = Mettre fin à la relation avec { $peer }, et à tout ce qui est prêté dans les deux sens ?
forget-done = La relation avec { $peer } est close ; { $count } { $count ->
    [one] prêt terminé
   *[other] prêts terminés
 }.

## Prêts.

told-delivered = { $peers } { $count ->
    [one] l’a reçu
   *[other] l’ont reçu
 }.
told-queued = { $peers } { $count ->
    [one] ne l’a pas encore reçu ; cela part dès qu’on peut le joindre
   *[other] ne l’ont pas encore reçu ; cela part dès qu’on peut les joindre
 }.
leaving = Ceci part chez { $peer } :
leaving-nothing-yet = (pas encore de valeur ; celles qui viendront partiront aussi)
leaving-more = et { $count } de plus
leaving-purpose = pour : { $purpose }
leaving-until = jusqu’au : { $until }
leaving-no-end = jusqu’à ce que vous le repreniez
leaving-mode-follow = versions suivantes aussi : oui (les clés limitent ce qui se lit ; l’accord, à quoi cela sert)
leaving-mode-once = versions suivantes aussi : non, celle-ci seule (les clés y veillent ; l’accord, à quoi cela sert)
leaving-mode-reference = rien n’est gardé là-bas : chaque lecture interroge ce nœud (l’accord le dit ; une copie reste possible)
grant-ask = Prêter ceci à { $peer } ?
grant-done = Prêté à { $peer } jusqu’à ce que vous le repreniez : { $selectors } ({ $grant }).
grant-done-until = Prêté à { $peer } jusqu’au { $until } : { $selectors } ({ $grant }).
grant-take-back = Pour le reprendre : allod revoke { $grant }
answer-optional-ask = Prêter aussi { $selector } ? C’est facultatif.
optional = { $selector } (facultatif)
ask-sent = { $peer } a reçu votre demande ({ $ask }).
ask-queued = { $peer } ne l’a pas encore reçue ; la demande { $ask } est gardée et part dès qu’on peut le joindre.
ask-withdrawn = La demande { $ask } est retirée.
decline-done = La demande { $ask } est refusée ; rien n’est prêté.
would-leave = Ceci partirait chez { $peer } :
asks-next = Pour le prêter : allod answer { $ask }. Pour refuser : allod decline { $ask }
asks-next-part = Pour prêter ce qu’il y a : allod answer { $ask } { $lent }. Pour refuser : allod decline { $ask }
no-value-yet = (pas encore de valeur)
answer-left-out = { $selector } reste de côté : pas encore de valeur.
revoke-ask = Reprendre tout ceci à { $peer } ?
revoke-done = Repris : { $selectors } ({ $grant }), après la remise de la version { $version }.
revoke-done-undelivered = Repris : { $selectors } ({ $grant }), avant toute remise.
revoke-still-lent = { $selector } reste prêté par { $grant }.
revoke-heard = { $peers } l’a appris ; que son nœud ait abandonné clés et valeurs n’est pas encore confirmé.
revoke-purge-confirmed = { $peers } l’a appris, et son nœud dit avoir abandonné clés et valeurs.
revoke-away = { $peers } ne l’a pas encore appris, et l’apprendra dès qu’on pourra le joindre.
revoke-away-until = { $peers } ne l’a pas encore appris, et l’apprendra dès qu’on pourra le joindre ; son délai prend fin le { $until } quoi qu’il arrive.
revoke-limits = { $peer } ne peut plus lire de valeurs plus récentes. Ce qui a été lu avant, ce contact peut s’en souvenir.
revoke-limits-all = Les valeurs plus récentes ne se lisent plus. Ce qui a été lu avant peut rester en mémoire.
no-grants = Rien n’est prêté, dans aucun sens.
no-asks = Il n’y a pas de demandes.
no-use = Aucun usage n’a été signalé.
no-access = Personne ne l’a, et rien n’y est prêté.
no-end = sans fin
no-entries = Rien n’a encore été échangé.
verify-ok = { $count ->
    [one] L’unique entrée se tient ({ $count }).
   *[other] Les { $count } entrées se tiennent.
 }
watch-begins = En observation. Ctrl-C y met fin.
purge-confirmed = confirmé
purge-confirmed-at = leur nœud a dit le { $at } : abandonné
purge-awaited = pas encore confirmé
purge-none = {""}
purge-awaited-until = pas encore confirmé ; leur délai prend fin le { $until }

## Événements.

event-field-changed = { $has-peer ->
    [yes] { $peer } a changé { $path }
   *[no] { $path } a changé
 }
event-granted = prêté entre vous et { $peer } : { $selectors } ({ $grant })
event-revoked = repris entre vous et { $peer } : { $selectors } ({ $grant })
event-asked = { $peer } demande { $selectors } ({ $ask })
event-answered = { $peer } a répondu à { $ask }
event-declined = { $ask } est refusée ({ $peer })
event-withdrawn = { $peer } a retiré { $ask }
event-purged = { $peer } dit avoir abandonné ce qui était prêté ({ $grant })
event-used = { $peer } signale l’usage de { $path } ({ $grant })
event-peer-online = { $peer } est en ligne
event-peer-offline = { $peer } est hors ligne
event-paired = appairé avec { $peer }
event-closed = la relation avec { $peer } est close
event-forked = { $peer } a montré deux histoires différentes
event-peer-restored = { $peer } a été rétabli d’une sauvegarde et repart de là
event-resumed = ce que vous prêtez à { $peer } continue
event-pairing = un appairage avance

## Colonnes.

column-addresses = Adresses
column-agreement = Accord
column-ask = Demande
column-at = Quand
column-benefit = Avantage
column-calls-itself = Se nomme
column-declined-because = Motif du refus
column-direction = Sens
column-ended = Terminé
column-expires = Valable jusqu’au
column-fields = Champs
column-from = Depuis
column-grant = Prêt
column-kind = Genre
column-last-delivery = Dernière remise
column-last-problem = Dernier problème
column-last-use = Dernier usage
column-lease = Délai jusqu’au
column-log-mine = Notre journal
column-log-theirs = Leur journal
column-mode = Mode
column-path = Chemin
column-peer = Contact
column-purge = Abandonné là-bas
column-purpose = Finalité
column-queued = En attente
column-reason = Raison
column-record = Fiche
column-seen = Vu
column-selector = Par
column-selectors = Sélecteurs
column-seq = Numéro
column-since = Depuis
column-source = Source
column-state = État
column-taken-back = Repris
column-type = Type
column-until = Jusqu’au
column-uses = Usages
column-value = Valeur
column-version = Version
column-way = Voie
column-what = Quoi
column-where = Où
column-why = Pourquoi

## Mots du JSON.

direction-given = nous prêtons
direction-held = ils prêtent
ask-direction-in = ils demandent
ask-direction-given = ils demandent
ask-direction-out = nous demandons
ask-direction-held = nous demandons
ask-state-open = ouverte
ask-state-granted = accordée
ask-state-partly = accordée en partie
ask-state-declined = refusée
ask-state-withdrawn = retirée
grant-state-active = actif
grant-state-suspended = attend votre accord
grant-state-revoked = repris
grant-state-expired = fini comme convenu
peer-state-paired = appairé
peer-state-pending = pas encore confirmé
peer-state-frozen = gelé : deux histoires
peer-state-restored = rétabli : les prêts sont suspendus
peer-state-closed = clos
invitation-state-open = ouverte
invitation-state-used = utilisée
invitation-state-expired = finie
kind-person = personne
kind-vendor = commerçant
mode-follow = follow : versions suivantes aussi
mode-once = once : cette version seule
mode-reference = reference : chaque lecture interroge
way-sent = envoyé
way-received = reçu
source-typed = saisi ici
source-import-of = import de { $name }
type-text = texte
type-integer = entier
type-decimal = décimal
type-boolean = booléen
type-date = date
type-instant = instant
type-bytes = octets
type-list = liste
type-map = table

## Finalités.

purpose-RequestedServiceProvision = Fourniture du service demandé
purpose-DeliveryOfGoods = Livraison
purpose-PaymentManagement = Paiement
purpose-CustomerCare = Service client
purpose-CustomerOrderManagement = Suivi de la commande
purpose-CustomerClaimsManagement = Traitement des réclamations
purpose-IdentityVerification = Vérification d’identité
purpose-AgeVerification = Vérification de l’âge
purpose-FraudPreventionAndDetection = Prévention de la fraude
purpose-LegalCompliance = Respect de la loi
purpose-ServicePersonalisation = Personnalisation du service
purpose-PersonalisedBenefits = Avantages personnels
purpose-ProvideProductRecommendations = Recommandation de produits
purpose-ServiceUsageAnalytics = Mesure de l’usage du service
purpose-DirectMarketing = Prospection directe
purpose-TargetedAdvertising = Publicité ciblée
purpose-SellDataToThirdParties = Vente des données à d’autres
purpose-ResearchAndDevelopment = Recherche et développement
purpose-DataAltruism = Bien commun
purpose-VendorSelectionAssessment = Comparaison d’offres
purpose-RightsFulfilment = Réponse à l’un de vos droits

## Aide.

help-heading-usage = Usage :
help-heading-commands = Commandes
help-heading-options = Options
help-heading-arguments = Arguments
help-first-steps = Pour commencer : allod init, puis allod run, puis allod invite dans un autre terminal. Ou, pour tout voir d’un coup : allod demo
help-json = Avec --json : { $keys }
    Le texte pour les personnes peut changer d’une version à l’autre. Le JSON, non : des clés ne font que s’ajouter.
help-exit-codes = Codes de sortie : 0 fait (aussi quand c’est gardé pour un contact absent), 1 échec, 2 mauvais usage, 3 pas de nœud en marche, 4 introuvable, 5 refusé, 6 fermé ou mauvaise phrase de passe, 7 abîmé ou histoires divergentes, 8 pas de réponse en direct, 130 Ctrl-C. Un code inconnu est un échec.

help-any-help = Montre ceci ; --help en montre plus que -h
help-any-version = Montre la version
help-any-home = Le répertoire du nœud [sinon ALLOD_HOME, sinon le répertoire de données du système]
help-any-json = JSON sur la sortie standard, erreurs en JSON sur la sortie d’erreur
help-any-lang = Langue du texte : en ou fr [sinon celle du système]
help-any-limit = Au plus tant d’éléments
help-any-after = Les éléments après ce repère : `next` de la page précédente
help-any-yes = Oui à chaque question, pour les scripts
help-any-passphrase-file = La phrase de passe est dans ce fichier, seule
help-any-peer = Le nom d’un contact ici
help-any-from = Parmi ce que prête ce contact
help-any-purpose = La finalité : un terme du W3C DPV ou un mot court (livraison, paiement, support, identite, marketing…)
help-any-until = Jusqu’à quand : une durée (30d), une date (fin de ce jour) ou RFC 3339
help-any-mode = follow (versions suivantes aussi), once (cette version), reference (chaque lecture interroge) [sinon follow]
help-any-terms = Les conditions du prêt, par leur référence
help-any-name = Comment l’autre côté s’appelle ici
help-any-ask = L’id d’une demande, ou son début
help-any-grant = L’id d’un prêt, ou son début
help-any-path = genre/id/champ, ou genre/id pour toute une fiche
help-any-paths = genre/id/champ, ou genre/id pour toute une fiche
help-any-selectors = genre/id/champ, ou genre/*/champ pour ce champ dans chaque fiche
help-any-kind = Les fiches de ce genre seulement
help-any-reason = Avec vos propres mots

help-allod = Des fiches sur vous, prêtées champ par champ, jusqu’à ce que vous disiez stop

help-init = Crée un nœud : son répertoire, ses clés et sa phrase de secours
help-init-name = Comment le nœud se nomme ; les contacts le voient
help-init-kind = person ou vendor : une étiquette, rien de plus [sinon person]
help-init-no-passphrase = Pas de phrase de passe : qui lit les fichiers lit tout
help-init-more = Sans --passphrase-file ni --no-passphrase, la phrase de passe est demandée ; sans terminal c’est refusé (6). Les 24 mots ne sont montrés qu’une fois.
help-run = Fait tourner le nœud, au premier plan, jusqu’à Ctrl-C ou SIGTERM
help-run-listen = Écouter à cette multiaddr ; peut être répété [sinon selon config.toml]
help-status = Est-il en marche, qui est là, que contient-il
help-stop = Arrête le nœud proprement
help-lock = Efface les clés de la mémoire du nœud jusqu’à sa réouverture
help-unlock = Rouvre le coffre
help-unlock-from-phrase = L’ouvrir avec les 24 mots, demandés ou sur l’entrée standard
help-demo = Montre l’essentiel sur deux nœuds à soi
help-demo-keep = Garder ensuite les répertoires des deux nœuds
help-doctor = Vérifie répertoire, base, journaux, horloge et réseau, et dit quoi faire
help-doctor-strict = Code de sortie 1 si quelque chose demande attention
help-doctor-more = Code de sortie 7 si des données sont abîmées ou si un contact a montré deux histoires.

help-set = Écrit des champs : tous ou aucun
help-set-fields = CHEMIN[:TYPE]=VALEUR, CHEMIN=@FICHIER, ou CHEMIN seul (demande la valeur, ou lit l’entrée standard)
help-set-more = Une valeur dans un argument se voit dans la liste des processus et dans l’historique du shell : donnez CHEMIN seul et tapez la valeur, ou envoyez-la sur l’entrée standard. Un seul CHEMIN prend toute l’entrée, plusieurs en prennent une ligne chacun ; une dernière fin de ligne est enlevée. Une valeur qui commence par @ s’écrit avec deux. TYPE est text, integer, decimal, boolean, date, instant, bytes, list ou map ; sans lui, le schéma du genre décide, sinon le type présent du champ, sinon c’est du texte.
help-get = Ses propres valeurs, ou celles que prête un contact
help-get-more = Un champ seul est montré par sa valeur et rien d’autre.
help-list = Les fiches et leurs champs, sans valeurs
help-list-prefix = genre, ou genre/id
help-history = Toutes les versions d’un champ
help-remove = Retire un champ ou une fiche, détruit ses clés et prévient qui le suit
help-remove-more = Ce qui a été prêté avant peut rester en mémoire, et les sauvegardes faites avant le contiennent encore.
help-import = Lit un fichier et en fait des fiches ; le refaire ne change rien
help-import-file = vCard, iCalendar, JSContact, CSV, OFX, CAMT et d’autres
help-import-format = Le lire dans ce format [sinon il est reconnu]
help-import-kind = Faire des fiches de ce genre
help-import-dry-run = Dire ce qui se passerait, et ne rien écrire
help-import-strict = Code de sortie 1 si une partie a été sautée
help-export = Tout, en un seul document JSON
help-export-to = Dans ce nouveau fichier, lisible par vous seul [sinon la sortie standard]

help-invite = Montre une invitation, attend l’autre côté, et demande si les mots sont les mêmes
help-invite-png = Écrire le code QR dans ce fichier PNG
help-invite-svg = Écrire le code QR dans ce fichier SVG
help-invite-expires = Combien de temps elle vaut [sinon 2m]
help-accept = Accepte une invitation
help-accept-text = Le texte de l’invitation [sinon il est demandé, ou lu sur l’entrée standard]
help-accept-image = Une photo ou une capture d’écran du code QR
help-invitations = Les invitations récentes
help-invitations-cancel = Annule toutes celles qui sont ouvertes
help-peers = Qui est appairé avec ce nœud
help-peers-show = Tout sur un contact
help-peers-rename = Donne ici un autre nom à un contact
help-peers-rename-old = Le nom qu’il a
help-peers-rename-new = Le nom qu’il reçoit
help-sync = Synchronise maintenant, avec tous les contacts ou un seul
help-resume = Laisse continuer ce qu’un rétablissement a suspendu ; le montre d’abord
help-resume-more = Possible dès que le contact a donné de ses nouvelles. De nouvelles clés et les valeurs actuelles partent.
help-forget = Met fin à une relation, et à tout ce qui est prêté dans les deux sens
help-forget-more = Ce qui a été lu avant peut rester en mémoire.

help-ask = Demande des champs à un contact
help-ask-paths = Ce qui est requis : genre/id/champ ou genre/*/champ
help-ask-optional = Ce qui est bienvenu sans être requis ; peut être répété
help-ask-benefit = Ce que l’autre côté y gagne
help-ask-withdraw = Retire une demande
help-asks = Les demandes, dans les deux sens
help-asks-incoming = Celles qui sont arrivées ici
help-asks-outgoing = Les nôtres
help-asks-show = Une demande, avec les valeurs exactes qui partiraient
help-answer = Prête ce qui est demandé, ou une partie
help-answer-only = Prêter ceci ; peut être répété [sinon ce qui est requis, et ce à quoi vous dites oui]
help-answer-until = Y mettre fin plus tôt ou plus tard que demandé
help-answer-more = Les valeurs exactes sont montrées d’abord. --yes sans --only prête tout ce qui est demandé, les champs facultatifs aussi.
help-decline = Dit non à une demande
help-grant = Prête des champs à un contact ; montre d’abord les valeurs
help-grant-lease = Combien de temps il peut lire sans nouvelles de vous [sinon 7d]
help-grants = Tous les prêts et leur état
help-grants-given = Ce que nous prêtons
help-grants-held = Ce que d’autres nous prêtent
help-grants-show = Un prêt, ses entrées et ses usages
help-used = Les usages signalés par les contacts
help-revoke = Reprend un prêt, des sélecteurs d’un contact, ou tout ce qu’il a
help-revoke-target = L’id d’un prêt, ou le nom d’un contact
help-revoke-more = « Revoke », c’est reprendre. C’est durable avant d’être confirmé. Cela arrête la suite : ce qui a été lu avant peut rester en mémoire.
help-access = Qui a un champ, ou ce qui passe entre nous et un contact
help-access-target = genre/id/champ, ou le nom d’un contact
help-log = Tout ce qui est passé, le plus récent en dernier ; jamais de valeurs
help-log-since = Depuis quand : une durée en arrière (24h), une date (son début) ou RFC 3339
help-log-follow = Continuer avec ce qui arrive
help-log-verify = Vérifier chaînes et signatures ; code de sortie 7 tant qu’elles ne tiennent pas
help-watch = Les événements au fil de l’eau
help-watch-until = Finir au premier événement de ce nom

help-backup = Tout, scellé, dans un fichier que les 24 mots ouvrent
help-backup-file = Le nouveau fichier, lisible par vous seul
help-backup-force = À la place d’un fichier qui existe
help-backup-more = Elle montre un seul instant. Pendant qu’elle est assemblée, le nœud ne répond à personne : environ une seconde pour 100 000 fiches. Ce qui est retiré plus tard y reste.
help-restore = Refait un nœud d’une sauvegarde et des 24 mots, là où il n’y en a pas
help-restore-file = Ce que allod backup a écrit
help-restore-phrase-file = Les 24 mots sont dans ce fichier, seuls [sinon demandés, ou sur l’entrée standard]
help-restore-passphrase-file = La nouvelle phrase de passe est dans ce fichier, seule
help-restore-no-passphrase = Pas de phrase de passe : qui lit les fichiers lit tout
help-restore-engine = Ce qui tient la base : sled ou redb [sinon sled]
help-restore-more = Sans --passphrase-file ni --no-passphrase, une nouvelle phrase de passe est demandée ; sans terminal c’est refusé (6). Le nœud écoute là où il écoute après allod init. Code de sortie 7 si le fichier a été coupé ou modifié.
help-passphrase = Donne au coffre une autre phrase de passe, ou aucune
help-passphrase-from-phrase = Ouvrir le coffre avec les 24 mots, demandés ou sur l’entrée standard ; sans nœud en marche
help-passphrase-new-passphrase-file = La nouvelle phrase de passe est dans ce fichier, seule
help-passphrase-no-passphrase = Plus de phrase de passe
help-completions = Un script qui complète les commandes dans un shell
help-completions-shell = bash, zsh, fish, elvish ou powershell
help-man = La page de manuel
help-man-verb = De cette commande
help-man-to = Écrire toutes les pages dans ce répertoire

## La démonstration.

demo-start = Un nœud est créé et démarré pour { $name }, dans { $home }.
demo-runs = Il tourne : processus { $process }.
demo-import = Ana importe un fichier de contact : { $file }.
demo-imported = { $record } est là ; sa ville est { $city }.
demo-pair = Ana montre une invitation sous forme d’image QR ; la boutique lit l’image, et tous deux comparent six mots.
demo-words = Les deux écrans montrent : { $words }
demo-refused = { $name } essaie, et c’est refusé : { $what }
demo-ask = La boutique demande la ville et l’adresse électronique, et si possible le téléphone, pour livrer.
demo-lend = Ana prête deux des trois champs.
demo-reads = { $name } lit { $path } : { $value }
demo-change = Ana change la ville ; la copie de la boutique suit.
demo-revoke = Ana reprend les deux champs, puis change encore la ville.
demo-purged = { $name } a abandonné ses clés et ses copies, et l’a dit.
demo-limits = La boutique ne peut plus rien lire de nouveau. Ce qu’elle a lu avant, elle peut s’en souvenir : aucun programme ne peut le reprendre.
demo-log = Tout ce qui est passé, tel que { $name } le garde ; la chaîne et les signatures du journal tiennent.
demo-done = { $steps } étapes, chacune vérifiée, en { $seconds } s.
demo-kept = Les deux nœuds continuent. Pour poursuivre à la main :
demo-kept-node = allod --home { $home } status
demo-failed = La démonstration s’est arrêtée à « { $step } » : { $why }
    .try = allod demo --keep, puis regarder dans les répertoires log

## Ce qui est passé entre deux nœuds, une ligne chacun.

log-paired = a confirmé les mots ; se nomme { $name } (non prouvé)
log-profile = a changé de nom ou d’adresses ; se nomme { $name } (non prouvé)
log-asked = a demandé { $selectors }, pour { $purpose }
log-declined = a décliné { $ask }
log-withdrawn = a retiré { $ask }
log-granted = a prêté { $selectors }, pour { $purpose } ({ $mode })
log-keys = nouvelles clés pour { $selectors }
log-cells = { $count } { $count ->
    [0] valeur
    [1] valeur
   *[other] valeurs
 } de { $selectors }{ $gone ->
    [0] {""}
   *[other] {" "}({ $gone } retirées)
 }
log-revoked = a repris { $selectors }
log-purged = a abandonné les clés et les copies de { $selectors }
log-purged-cells = a abandonné ce qui était retiré de { $selectors }
log-read = a demandé à lire { $selectors }
log-served = a répondu avec la valeur de { $selectors }
log-served-nothing = a répondu : rien à { $selectors }
log-served-refused = a refusé de répondre pour { $selectors }
log-served-too-many = a refusé : trop de lectures de { $selectors }
log-used = s’est servi de { $selectors } ({ $count } fois)
log-resumed = a repris après un rétablissement, et dit ce qui continue
log-closed = a mis fin à la relation
log-unknown = a dit quelque chose qu’un programme plus récent comprend (genre { $kind })

## Ce que trouve un contrôle des journaux.

verify-missing = L’entrée { $seq } du journal { $log } avec { $peer } manque.
verify-broken = L’entrée { $seq } du journal { $log } avec { $peer } ne suit pas celle qui la précède.
verify-signature = La signature de l’entrée { $seq } du journal { $log } avec { $peer } ne tient pas.
verify-body = Le contenu de l’entrée { $seq } du journal { $log } avec { $peer } ne s’ouvre pas, ou a été changé.
verify-head = Le journal { $log } avec { $peer } ne finit pas où il devrait, à l’entrée { $seq }.
verify-fork = { $peer } a montré deux histoires différentes, après l’entrée { $seq } du journal { $log }.
verify-counts = Le dépôt ne contient pas autant de fiches qu’il en comptait ({ $seq }).

peer-unreachable = aucune réponse à ses adresses
peer-refused = il a répondu, et ne connaît pas cette relation
peer-clock = son horloge et la nôtre diffèrent de plus de deux minutes
peer-misbehaved = ce qu’il a envoyé ne tient pas, et a été refusé
log-rekey = une étape du changement mensuel des clés
