// The texts of /register in Chinese.
export default {
  "register.mailed": "确认邮件已发往 {email}。请打开邮件中的链接确认邮箱，链接 24 小时内有效。如果没有收到，请查看垃圾邮件文件夹。",
  "register.invite_ignored": "邀请码无法使用，已被忽略。当前开放注册，无需邀请码。",
  "register.no_mail": "此服务器不发送邮件，您的邮箱暂时无法确认。",
  "register.no_mail_now": "此邮箱近期收到的邮件过多，本次未发送确认邮件。请稍后在账号页面重新获取。",
};
