# Makes hordelink@.service from hordelink.service: what an instance has for itself.
s|^Description=.*|& (%i)|
/^ExecStart=/s|/hordelink\.toml$|/%i.toml|
s|^# From /etc/credstore/hotkey\.|# From /etc/credstore/hotkey-%i.|
s|^LoadCredential=hotkey$|LoadCredential=hotkey:hotkey-%i|
# Not below /run/hordelink and /var/lib/hordelink, which are hordelink.service's own to remove.
s,^\(State\|Runtime\)Directory=hordelink$,\1Directory=hordelink-%i,
