(function () {
  'use strict';
  var answer = document.getElementById('answer');
  var lamp = document.getElementById('lamp');
  var buttons = document.getElementsByTagName('button');
  function choose(event) {
    var right = event.target.getAttribute('data-right') === 'yes';
    lamp.className = right ? 'on' : '';
    answer.textContent = right ? '对了！回路闭合，灯泡亮了。' : '再想一想：电流要能走一圈。';
  }
  for (var i = 0; i < buttons.length; i += 1) {
    buttons[i].addEventListener('click', choose);
  }
}());
