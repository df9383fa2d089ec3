// The texts of /reset in Chinese.
export default {
  "reset.title": "设置新密码",
  "reset.choose": "设置后，您的所有设备都需要使用新密码重新登录。",
  "reset.new_password": "新密码",
  "reset.submit": "设置密码",
  "reset.changed_title": "密码设置成功",
  "reset.changed": "此前的登录均已失效，请使用新密码登录。",
  "reset.ask_title": "忘记密码？",
  "reset.ask": "请输入您账号的邮箱地址，我们会向您发送设置新密码的链接。",
  "reset.invalid_title": "链接已失效",
  "reset.invalid": "链接已被使用、已过期，或者已被更新的邮件取代。请输入您账号的邮箱地址，重新获取链接。",
  "reset.send": "发送链接",
  "reset.sent_title": "请查收邮件",
  "reset.sent": "如果 {email} 已注册账号，您将收到一封带有链接的邮件。链接 1 小时内有效。",
  "reset.sent_next": "如果几分钟后仍未收到，请查看垃圾邮件文件夹，或检查邮箱地址是否有误。",
  "reset.sign_in": "登录",
  "reset.another": "换一个邮箱地址",
};
