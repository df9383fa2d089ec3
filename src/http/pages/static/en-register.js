// The texts of /register in English.
export default {
  "register.mailed": "A mail is on its way to {email}. Open the link in it to confirm your address; it works for 24 hours. If no mail comes, look in the spam folder too.",
  "register.invite_ignored": "The invite code could not be used and was ignored. Registration is open, so none was needed.",
  "register.no_mail": "This server sends no mail, so your address will not be confirmed for now.",
  "register.no_mail_now": "No mail was sent to confirm your address, because too many mails were sent to it lately. Ask for one on the page of your account later.",
};
