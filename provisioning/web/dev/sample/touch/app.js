/* Dots over the whole screen: each must answer a finger where it stands. ES5, as the engines on boards are old. */
(function () {
  'use strict';
  var PLACES = [[8, 18], [36, 18], [64, 18], [92, 18], [22, 50], [50, 50], [78, 50], [8, 82], [36, 82], [64, 82], [92, 82]];
  var board = document.getElementById('board'), say = document.getElementById('say'), lit = 0;
  function tell() {
    say.textContent = lit === PLACES.length ? '全部点亮，触摸正常' : lit ? '还有 ' + (PLACES.length - lit) + ' 个' : '请把圆点一个一个点亮';
  }
  function dot(place, number) {
    var one = document.createElement('button');
    one.type = 'button';
    one.className = 'dot';
    one.textContent = number;
    one.style.left = place[0] + '%';
    one.style.top = place[1] + '%';
    one.addEventListener('click', function () {
      if (one.className === 'dot') { one.className = 'dot lit'; lit += 1; tell(); }
    });
    board.appendChild(one);
  }
  function begin() {
    lit = 0;
    board.innerHTML = '';
    PLACES.forEach(function (place, at) { dot(place, at + 1); });
    tell();
  }
  document.getElementById('again').addEventListener('click', begin);
  begin();
}());
