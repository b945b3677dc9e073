"""Exchange's properties that EWS and Graph both name: tags (MS-OXPROPS), and the one that is ours."""

from __future__ import annotations

MESSAGE_FLAGS = 0x0E07
"""PidTagMessageFlags (MS-OXCMSG 2.2.1.6): without MSGFLAG_UNSENT at creation, or the item is a draft for ever."""
SUBMIT_TIME = 0x0039
DELIVERY_TIME = 0x0E06
CONVERSATION_TOPIC = 0x0070
CONVERSATION_INDEX = 0x0071
MESSAGE_ID = 0x1035
REFERENCES = 0x1039
IN_REPLY_TO = 0x1042
ICON_INDEX = 0x1080
LAST_VERB = 0x1081
LAST_VERB_TIME = 0x1082
FLAG_STATUS = 0x1090
"""PidTagFlagStatus (MS-OXOFLAG 2.2.1.1): 2 is flagged, 1 is complete."""
FLAG_COMPLETED = 0x1091
"""PidTagFlagCompleteTime."""
TASK_START = 0x8104
"""PidLidTaskStartDate, in PSETID_Task."""
TASK_DUE = 0x8105
"""PidLidTaskDueDate, in PSETID_Task."""
VERB_STREAM = 0x8520
"""PidLidVerbStream, in PSETID_Common: buttons to vote with (MS-OXOMSG 2.2.1.74)."""

MESSAGE_FLAG_READ = 0x1
"""MSGFLAG_READ"""

STAMP_SET = "7b8f0d4a-52a6-4c0e-9a53-0f6c3e1d9b27"
"""Property set of our own, the same wherever a mailbox moves to."""
STAMP_NAME = "StamplineSentItem"
"""Its string property that holds `stamp_of`."""
