# Scripts that promises run; common.sh and actions.awk are parts of them all.
dist_actions_SCRIPTS += promises/actions/ansible promises/actions/cfengine promises/actions/chef promises/actions/mail \
	promises/actions/puppet promises/actions/restart promises/actions/syslog promises/actions/webhook
dist_actions_DATA += promises/actions/actions.awk promises/actions/common.sh
dist_man_MANS += promises/actions/kith-actions.7
