"""The post office of a platform without internet: takes mails as SendGrid does, and shows them."""
